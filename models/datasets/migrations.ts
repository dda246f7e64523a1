import type { Migration } from "../../shared/database/index.ts";

export const datasetMigrations: readonly Migration[] = [
  {
    name: "0050-datasets-versions",
    async up(schema) {
      await schema.schema
        .createTable("dataset")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("description", "text", (column) => column.notNull())
        .addColumn("expectations", "text", (column) => column.notNull())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("created_by", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addColumn("updated_ms", "bigint", (column) => column.notNull())
        .execute();
      await schema.schema
        .createTable("dataset_version")
        .addColumn("dataset", "text", (column) => column.notNull().references("dataset.name"))
        .addColumn("version", "text", (column) => column.notNull())
        .addColumn("number", "bigint", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("error", "text")
        .addColumn("format", "text", (column) => column.notNull())
        .addColumn("options", "text", (column) => column.notNull())
        .addColumn("size_bytes", "bigint", (column) => column.notNull())
        .addColumn("blob_key", "text", (column) => column.notNull())
        .addColumn("rows_key", "text")
        .addColumn("profile_key", "text")
        .addColumn("row_count", "bigint")
        .addColumn("columns", "text", (column) => column.notNull())
        .addColumn("checks", "text", (column) => column.notNull())
        .addColumn("notes", "text", (column) => column.notNull())
        .addColumn("job_id", "text")
        .addColumn("created_by", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("dataset_version_pk", ["dataset", "version"])
        .addUniqueConstraint("dataset_version_number", ["dataset", "number"])
        .execute();
      await schema.schema
        .createTable("dataset_upload")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("dataset", "text", (column) => column.notNull())
        .addColumn("format", "text", (column) => column.notNull())
        .addColumn("options", "text", (column) => column.notNull())
        .addColumn("blob_key", "text", (column) => column.notNull())
        .addColumn("created_by", "text", (column) => column.notNull())
        .addColumn("expires_ms", "bigint", (column) => column.notNull())
        .execute();
      await schema.schema
        .createIndex("dataset_upload_expiry")
        .on("dataset_upload")
        .column("expires_ms")
        .execute();
    },
  },
  {
    name: "0051-datasets-deletions",
    async up({ schema }) {
      await schema
        .alterTable("dataset")
        .addColumn("last_number", "bigint", (column) => column.notNull().defaultTo(0))
        .execute();
      await schema
        .createTable("dataset_garbage")
        .addColumn("blob_key", "text", (column) => column.primaryKey())
        .addColumn("condemned_ms", "bigint", (column) => column.notNull())
        .execute();
      await schema.createIndex("dataset_version_job").on("dataset_version").column("job_id").execute();
    },
  },
  {
    name: "0052-datasets-findings",
    async up({ schema }) {
      await schema.alterTable("dataset_version").addColumn("findings", "text").execute();
    },
  },
];

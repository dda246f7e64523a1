import type { Migration } from "../../../shared/database/index.ts";

export const batchMigrations: readonly Migration[] = [
  {
    name: "0450-serving-batches",
    async up(schema) {
      await schema.schema
        .createTable("serving_batch")
        .addColumn("job_id", "text", (column) => column.primaryKey())
        .addColumn("dataset", "text", (column) => column.notNull())
        .addColumn("dataset_version", "text", (column) => column.notNull())
        .addColumn("row_count", "bigint", (column) => column.notNull())
        .addColumn("model", "text", (column) => column.notNull())
        .addColumn("model_version", "bigint", (column) => column.notNull())
        .addColumn("deployment", "text")
        .addColumn("revision", "bigint")
        .addColumn("output_dataset", "text", (column) => column.notNull())
        .addColumn("output_version", "text")
        .addColumn("failed_rows", "bigint")
        .addColumn("profile_job", "text")
        .addColumn("created_by", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .execute();
      await schema.schema
        .createIndex("serving_batch_created")
        .on("serving_batch")
        .columns(["created_ms", "job_id"])
        .execute();
      await schema.schema
        .createIndex("serving_batch_output")
        .on("serving_batch")
        .columns(["output_dataset", "output_version"])
        .execute();
      await schema.schema
        .createTable("serving_batch_chunk")
        .addColumn("job_id", "text", (column) => column.notNull())
        .addColumn("chunk", "bigint", (column) => column.notNull())
        .addColumn("blob_key", "text", (column) => column.notNull())
        .addColumn("failed_rows", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("serving_batch_chunk_key", ["job_id", "chunk"])
        .execute();
    },
  },
];

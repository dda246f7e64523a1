import type { Migration } from "../database/index.ts";

export const jobMigrations: readonly Migration[] = [
  {
    name: "0010-jobs-jobs",
    async up(schema) {
      await schema.schema
        .createTable("job")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("spec", "text", (column) => column.notNull())
        .addColumn("result", "text")
        .addColumn("error", "text")
        .addColumn("attempt", "integer", (column) => column.notNull())
        .addColumn("max_attempts", "integer", (column) => column.notNull())
        .addColumn("progress", "double precision", (column) => column.notNull())
        .addColumn("progress_message", "text")
        .addColumn("idempotency_key", "text")
        .addColumn("actor", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addColumn("started_ms", "bigint")
        .addColumn("ended_ms", "bigint")
        .addColumn("due_ms", "bigint", (column) => column.notNull())
        .addColumn("woken_ms", "bigint", (column) => column.notNull())
        .addColumn("lease", "text")
        .addColumn("lease_owner", "text")
        .addColumn("lease_until_ms", "bigint")
        .addColumn("cancel_reason", "text")
        .addColumn("log_count", "integer", (column) => column.notNull())
        .addColumn("trace", "text", (column) => column.notNull())
        .execute();
      // NULL differs from NULL in a unique index of both dialects: jobs without a key are not held against each other.
      await schema.schema
        .createIndex("job_idempotency")
        .unique()
        .on("job")
        .columns(["kind", "idempotency_key"])
        .execute();
      await schema.schema.createIndex("job_due").on("job").columns(["state", "due_ms"]).execute();
      await schema.schema.createIndex("job_created").on("job").columns(["created_ms", "id"]).execute();
      await schema.schema
        .createTable("job_log")
        .addColumn("job_id", "text", (column) => column.notNull())
        .addColumn("line_number", "integer", (column) => column.notNull())
        .addColumn("attempt", "integer", (column) => column.notNull())
        .addColumn("at_ms", "bigint", (column) => column.notNull())
        .addColumn("line", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("job_log_key", ["job_id", "line_number"])
        .execute();
    },
  },
  {
    name: "0011-jobs-ended",
    async up(schema) {
      await schema.schema.createIndex("job_ended").on("job").columns(["ended_ms", "id"]).execute();
    },
  },
];

import type { Migration } from "../shared/database/index.ts";

export const quantumMigrations: readonly Migration[] = [
  {
    name: "0600-quantum-jobs",
    async up(schema) {
      await schema.schema
        .createTable("quantum_job")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("target", "text", (column) => column.notNull())
        .addColumn("workspace", "text", (column) => column.notNull())
        .addColumn("shots", "bigint", (column) => column.notNull())
        .addColumn("verdict", "text")
        .addColumn("submission", "text", (column) => column.notNull())
        .addColumn("outcome", "text", (column) => column.notNull())
        .addColumn("error", "text")
        .addColumn("created_by", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addColumn("updated_ms", "bigint", (column) => column.notNull())
        .addColumn("ended_ms", "bigint")
        .execute();
      await schema.schema
        .createIndex("quantum_job_by_time")
        .on("quantum_job")
        .columns(["created_ms", "id"])
        .execute();
      await schema.schema
        .createIndex("quantum_job_by_status")
        .on("quantum_job")
        .columns(["status", "created_ms"])
        .execute();
    },
  },
  {
    name: "0601-quantum-workspace-items",
    async up(schema) {
      await schema.schema
        .createTable("quantum_workspace_item")
        .addColumn("workspace", "text", (column) => column.notNull())
        .addColumn("item_type", "text", (column) => column.notNull())
        .addColumn("id", "text", (column) => column.notNull())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("job_type", "text", (column) => column.notNull())
        .addColumn("provider_id", "text", (column) => column.notNull())
        .addColumn("target", "text", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("session_id", "text")
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addColumn("modified_ms", "bigint", (column) => column.notNull())
        .addColumn("owner", "text")
        .addColumn("document", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("quantum_workspace_item_key", ["workspace", "item_type", "id"])
        .execute();
      await schema.schema
        .createIndex("quantum_workspace_item_by_time")
        .on("quantum_workspace_item")
        .columns(["workspace", "created_ms", "id"])
        .execute();
      await schema.schema
        .createIndex("quantum_workspace_item_by_session")
        .on("quantum_workspace_item")
        .columns(["workspace", "session_id"])
        .execute();
    },
  },
];

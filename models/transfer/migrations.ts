import type { Transaction } from "kysely";
import type { Migration } from "../../shared/database/index.ts";

/**
 * `transfer_item` remembers what was copied for each pair of direction and server (the scope), beyond the end of the
 * transfer that copied it. A row without `target_id` was begun: whether the target has it must be looked up.
 */
export const transferMigrations: readonly Migration[] = [
  {
    name: "0900-transfer-transfers",
    async up(schema) {
      await schema.schema
        .createTable("transfer")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("scope", "text", (column) => column.notNull())
        .addColumn("request", "text", (column) => column.notNull())
        .addColumn("job_id", "text")
        .addColumn("sealed_credentials", "text")
        .addColumn("report", "text")
        .addColumn("created_by", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .execute();
      await schema.schema
        .createIndex("transfer_created")
        .on("transfer")
        .columns(["created_ms", "id"])
        .execute();
      await schema.schema.createIndex("transfer_scope").on("transfer").columns(["scope"]).execute();
      await schema.schema
        .createTable("transfer_item")
        .addColumn("scope", "text", (column) => column.notNull())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("source_id", "text", (column) => column.notNull())
        .addColumn("target_id", "text")
        .addColumn("parent", "text", (column) => column.notNull())
        .addColumn("fingerprint", "text")
        .addPrimaryKeyConstraint("transfer_item_key", ["scope", "kind", "source_id"])
        .execute();
      await schema.schema
        .createIndex("transfer_item_parent")
        .on("transfer_item")
        .columns(["scope", "parent"])
        .execute();
    },
  },
  {
    // Left by a process that ended between the row and its job, when these were written one after the other.
    name: "0901-transfer-without-jobs",
    async up(schema) {
      await (schema as Transaction<{ transfer: { job_id: string | null } }>)
        .deleteFrom("transfer")
        .where("job_id", "is", null)
        .execute();
    },
  },
];

import type { Migration } from "../database/index.ts";

export const identityMigrations: readonly Migration[] = [
  {
    name: "0030-identity-tokens",
    async up(schema) {
      await schema.schema
        .createTable("access_token")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("role", "text", (column) => column.notNull())
        .addColumn("secret_sha256", "text", (column) => column.notNull().unique())
        .addColumn("created_by", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addColumn("expires_ms", "bigint", (column) => column.notNull())
        .addColumn("revoked_ms", "bigint")
        .addColumn("last_used_ms", "bigint")
        .execute();
      await schema.schema
        .createIndex("access_token_created")
        .on("access_token")
        .columns(["created_ms", "id"])
        .execute();
    },
  },
  {
    name: "0031-identity-audit",
    async up(schema) {
      await schema.schema
        .createTable("audit_entry")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("at_ms", "bigint", (column) => column.notNull())
        .addColumn("actor_id", "text", (column) => column.notNull())
        .addColumn("actor_name", "text", (column) => column.notNull())
        .addColumn("actor_role", "text", (column) => column.notNull())
        .addColumn("actor_source", "text", (column) => column.notNull())
        .addColumn("action", "text", (column) => column.notNull())
        .addColumn("subject", "text", (column) => column.notNull())
        .addColumn("before", "text")
        .addColumn("after", "text")
        .addColumn("reason", "text")
        .execute();
      await schema.schema
        .createIndex("audit_entry_subject")
        .on("audit_entry")
        .columns(["subject", "id"])
        .execute();
      await schema.schema
        .createIndex("audit_entry_actor")
        .on("audit_entry")
        .columns(["actor_id", "id"])
        .execute();
    },
  },
];

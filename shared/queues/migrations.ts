import type { Migration } from "../database/index.ts";

export const queueMigrations: readonly Migration[] = [
  {
    name: "0020-queues-messages",
    async up(schema) {
      await schema.schema
        .createTable("queue_message")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("queue", "text", (column) => column.notNull())
        .addColumn("body", "text", (column) => column.notNull())
        .addColumn("attempt", "bigint", (column) => column.notNull())
        .addColumn("visible_ms", "bigint", (column) => column.notNull())
        .addColumn("receipt", "text")
        .addColumn("sent_ms", "bigint", (column) => column.notNull())
        .execute();
      await schema.schema
        .createIndex("queue_message_by_turn")
        .on("queue_message")
        .columns(["queue", "visible_ms", "sent_ms", "id"])
        .execute();
    },
  },
];

import type { Database } from "../../../shared/database/index.ts";
import { createDeliveryStore } from "../../../shared/webhooks/index.ts";
import type { AlertEventKind, NotificationTables, SubscriptionRow } from "./tables.ts";

export type SubscriptionStore = ReturnType<typeof createSubscriptionStore>;

/** Who is told of alerts, and what is on its way to them. */
export function createSubscriptionStore(database: Database) {
  const db = database.tables<NotificationTables>();
  return {
    ...createDeliveryStore<AlertEventKind>(database, {
      webhooks: "alert_subscription",
      deliveries: "alert_delivery",
    }),

    find: (name: string): Promise<SubscriptionRow | undefined> =>
      db.selectFrom("alert_subscription").selectAll().where("name", "=", name).executeTakeFirst(),

    /** In the order of their names. */
    list: (after: string, limit: number): Promise<SubscriptionRow[]> =>
      db
        .selectFrom("alert_subscription")
        .selectAll()
        .where("name", ">", after)
        .orderBy("name")
        .limit(limit)
        .execute(),

    /** @returns false when somebody else has made or changed it meanwhile: nothing is written */
    async write(row: SubscriptionRow): Promise<boolean> {
      const { webhook_id: _, name: __, created_ms: ___, ...changed } = row;
      const written =
        row.revision === 1
          ? await db
              .insertInto("alert_subscription")
              .values(row)
              .onConflict((conflict) => conflict.column("name").doNothing())
              .returning("webhook_id")
              .executeTakeFirst()
          : await db
              .updateTable("alert_subscription")
              .set(changed)
              .where("webhook_id", "=", row.webhook_id)
              .where("revision", "=", row.revision - 1)
              .returning("webhook_id")
              .executeTakeFirst();
      return written !== undefined;
    },

    /** With what it was not told yet. @returns whether it was there at this revision */
    remove: ({ webhook_id: id, revision }: SubscriptionRow): Promise<boolean> =>
      database.transaction<NotificationTables, boolean>(async (trx) => {
        const removed = await trx
          .deleteFrom("alert_subscription")
          .where("webhook_id", "=", id)
          .where("revision", "=", revision)
          .returning("webhook_id")
          .executeTakeFirst();
        if (removed === undefined) return false;
        await trx.deleteFrom("alert_delivery").where("webhook_id", "=", id).execute();
        return true;
      }),
  };
}

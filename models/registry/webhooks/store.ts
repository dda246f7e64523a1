import type { Kysely, Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import { createDeliveryStore } from "../../../shared/webhooks/index.ts";
import type { WebhookRow, WebhookTables } from "./tables.ts";
import type { WebhookEvent } from "./webhook-events.ts";

/** A webhook with the events it is told of, in the order in which they were given. */
export interface LoadedWebhook extends WebhookRow {
  readonly events: readonly WebhookEvent[];
}

type Handle = Kysely<WebhookTables> | Transaction<WebhookTables>;
export type WebhookStore = ReturnType<typeof createWebhookStore>;

/** The SQL of the webhooks and their deliveries. */
export function createWebhookStore(database: Database) {
  const db = database.tables<WebhookTables>();

  return {
    ...createDeliveryStore<WebhookEvent>(database, {
      webhooks: "registry_webhook",
      deliveries: "registry_webhook_delivery",
    }),

    insert: (row: WebhookRow, events: readonly WebhookEvent[]): Promise<void> =>
      database.transaction<WebhookTables, void>(async (trx) => {
        await trx.insertInto("registry_webhook").values(row).execute();
        await insertEvents(trx, row.webhook_id, events);
      }),

    find: (id: string) => find(db, id),

    /** Newest first. */
    async list(
      after: { readonly createdMs: number; readonly id: string } | undefined,
      limit: number,
    ): Promise<LoadedWebhook[]> {
      let query = db.selectFrom("registry_webhook").selectAll();
      if (after !== undefined) {
        const { createdMs, id } = after;
        query = query.where((is) =>
          is.or([
            is("created_ms", "<", createdMs),
            is.and([is("created_ms", "=", createdMs), is("webhook_id", "<", id)]),
          ]),
        );
      }
      const rows = await query
        .orderBy("created_ms", "desc")
        .orderBy("webhook_id", "desc")
        .limit(limit)
        .execute();
      return withEvents(db, rows);
    },

    /** @returns how it was before, or undefined when there is none. */
    update: (
      id: string,
      change: Partial<WebhookRow>,
      events: readonly WebhookEvent[] | undefined,
    ): Promise<LoadedWebhook | undefined> =>
      database.transaction<WebhookTables, LoadedWebhook | undefined>(async (trx) => {
        const before = await find(trx, id);
        if (before === undefined) return undefined;
        await trx.updateTable("registry_webhook").set(change).where("webhook_id", "=", id).execute();
        if (events !== undefined) {
          await trx.deleteFrom("registry_webhook_event").where("webhook_id", "=", id).execute();
          await insertEvents(trx, id, events);
        }
        return before;
      }),

    /** Removes it with its deliveries. @returns how it was, or undefined when there is none. */
    remove: (id: string): Promise<LoadedWebhook | undefined> =>
      database.transaction<WebhookTables, LoadedWebhook | undefined>(async (trx) => {
        const before = await find(trx, id);
        await trx.deleteFrom("registry_webhook").where("webhook_id", "=", id).execute();
        await trx.deleteFrom("registry_webhook_event").where("webhook_id", "=", id).execute();
        await trx.deleteFrom("registry_webhook_delivery").where("webhook_id", "=", id).execute();
        return before;
      }),
  };
}

async function find(db: Handle, id: string): Promise<LoadedWebhook | undefined> {
  const row = await db
    .selectFrom("registry_webhook")
    .selectAll()
    .where("webhook_id", "=", id)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const [loaded] = await withEvents(db, [row]);
  return loaded;
}

async function withEvents(db: Handle, rows: readonly WebhookRow[]): Promise<LoadedWebhook[]> {
  if (rows.length === 0) return [];
  const events = await db
    .selectFrom("registry_webhook_event")
    .selectAll()
    .where(
      "webhook_id",
      "in",
      rows.map((row) => row.webhook_id),
    )
    .orderBy("position")
    .execute();
  const byId = Map.groupBy(events, (event) => event.webhook_id);
  return rows.map((row) => ({ ...row, events: (byId.get(row.webhook_id) ?? []).map(({ event }) => event) }));
}

async function insertEvents(db: Handle, webhookId: string, events: readonly WebhookEvent[]): Promise<void> {
  const rows = [...new Set(events)].map((event, position) => ({ webhook_id: webhookId, event, position }));
  await db.insertInto("registry_webhook_event").values(rows).execute();
}

import { type Kysely, sql, type Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { DeliveryRow, DeliveryState, WebhookRow, WebhookTables } from "./tables.ts";
import type { WebhookEvent } from "./webhook-events.ts";

/** A webhook with the events it is told of, in the order in which they were given. */
export interface LoadedWebhook extends WebhookRow {
  readonly events: readonly WebhookEvent[];
}

/** A delivery that this instance may send now, with where it goes. */
export interface ClaimedDelivery extends DeliveryRow {
  readonly url: string;
  readonly secret: string | null;
}

/** What is written down after a try. */
export type TryOutcome =
  | { readonly state: "delivered"; readonly responseStatus: number }
  | { readonly state: "failed"; readonly responseStatus: number | null; readonly error: string }
  | {
      readonly state: "pending";
      readonly responseStatus: number | null;
      readonly error: string;
      readonly dueMs: number;
    };

type Handle = Kysely<WebhookTables> | Transaction<WebhookTables>;
export type WebhookStore = ReturnType<typeof createWebhookStore>;

/** The SQL of the webhooks and their deliveries. */
export function createWebhookStore(database: Database) {
  const db = database.tables<WebhookTables>();
  // See shared/queues/table-queue.ts: on SQLite there is one writer at a time anyway.
  const skipLocked = database.dialect === "postgres" ? sql`for update of d skip locked` : sql``;

  return {
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

    /**
     * Takes deliveries that are due, at most one of each webhook: what is on its way to a receiver keeps the next event
     * back, so that a receiver that answers hears of events in their order, and one that does not answer holds up
     * nobody else. Of several instances that try, one gets a delivery.
     */
    async claim(claim: {
      readonly lease: string;
      readonly nowMs: number;
      readonly leaseUntilMs: number;
      readonly limit: number;
    }): Promise<ClaimedDelivery[]> {
      const { lease, nowMs, leaseUntilMs, limit } = claim;
      const { rows } = await sql<DeliveryRow>`
        with turn as (
          select d.delivery_id
          from registry_webhook w
          join registry_webhook_delivery d on d.delivery_id = (
            select f.delivery_id from registry_webhook_delivery f
            where f.webhook_id = w.webhook_id and f.state = 'pending' and f.due_ms <= ${nowMs}
            order by f.event_id
            limit 1)
          where w.status = 'ACTIVE' and d.state = 'pending' and d.lease_until_ms <= ${nowMs}
            and not exists (
              select 1 from registry_webhook_delivery o
              where o.webhook_id = w.webhook_id and o.state = 'pending' and o.lease_until_ms > ${nowMs})
          order by d.due_ms, d.event_id
          limit ${limit}
          ${skipLocked}
        )
        update registry_webhook_delivery set lease = ${lease}, lease_until_ms = ${leaseUntilMs}
        where delivery_id in (select delivery_id from turn)
        returning *`.execute(db);
      if (rows.length === 0) return [];
      const webhooks = await db
        .selectFrom("registry_webhook")
        .select(["webhook_id", "url", "secret"])
        .where(
          "webhook_id",
          "in",
          rows.map((row) => row.webhook_id),
        )
        .execute();
      const byId = new Map(webhooks.map((webhook) => [webhook.webhook_id, webhook]));
      return rows.flatMap((row) => {
        // Without one it was deleted a moment ago, and its deliveries with it.
        const webhook = byId.get(row.webhook_id);
        return webhook === undefined ? [] : [{ ...row, url: webhook.url, secret: webhook.secret }];
      });
    },

    /** Writes what a try came to. @returns false when the claim was no longer held: nothing is written. */
    async finish(deliveryId: string, lease: string, nowMs: number, outcome: TryOutcome): Promise<boolean> {
      const written = await db
        .updateTable("registry_webhook_delivery")
        .set((is) => ({
          state: outcome.state,
          tries: is("tries", "+", 1),
          tries_left: is("tries_left", "-", 1),
          response_status: outcome.responseStatus,
          error: outcome.state === "delivered" ? null : outcome.error,
          ...(outcome.state === "pending" ? { due_ms: outcome.dueMs } : { ended_ms: nowMs }),
          ...unclaimed,
        }))
        .where("delivery_id", "=", deliveryId)
        .where("lease", "=", lease)
        .returning("delivery_id")
        .executeTakeFirst();
      return written !== undefined;
    },

    /** Gives a claim back without a try. */
    async release(deliveryId: string, lease: string): Promise<void> {
      await db
        .updateTable("registry_webhook_delivery")
        .set(unclaimed)
        .where("delivery_id", "=", deliveryId)
        .where("lease", "=", lease)
        .execute();
    },

    /** Newest first. */
    listDeliveries(
      webhookId: string,
      page: {
        readonly before: number | undefined;
        readonly state: DeliveryState | undefined;
        readonly limit: number;
      },
    ): Promise<DeliveryRow[]> {
      let query = db.selectFrom("registry_webhook_delivery").selectAll().where("webhook_id", "=", webhookId);
      if (page.before !== undefined) query = query.where("event_id", "<", page.before);
      if (page.state !== undefined) query = query.where("state", "=", page.state);
      return query.orderBy("event_id", "desc").limit(page.limit).execute();
    },

    findDelivery: (webhookId: string, deliveryId: string): Promise<DeliveryRow | undefined> =>
      db
        .selectFrom("registry_webhook_delivery")
        .selectAll()
        .where("delivery_id", "=", deliveryId)
        .where("webhook_id", "=", webhookId)
        .executeTakeFirst(),

    /** Makes an ended delivery due again. @returns undefined when it has not ended. */
    requeue: (deliveryId: string, tries: number, nowMs: number): Promise<DeliveryRow | undefined> =>
      db
        .updateTable("registry_webhook_delivery")
        .set({ state: "pending", tries_left: tries, due_ms: nowMs, ended_ms: null, ...unclaimed })
        .where("delivery_id", "=", deliveryId)
        .where("state", "!=", "pending")
        .returningAll()
        .executeTakeFirst(),

    /** Removes up to `limit` deliveries that ended, or have waited for a disabled webhook, since before a time. */
    async prune(beforeMs: number, limit: number): Promise<number> {
      const old = db
        .selectFrom("registry_webhook_delivery")
        .select("delivery_id")
        .where(sql<number>`coalesce(ended_ms, due_ms)`, "<", beforeMs)
        .limit(limit);
      const { numDeletedRows } = await db
        .deleteFrom("registry_webhook_delivery")
        .where("delivery_id", "in", old)
        .executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
  };
}

const unclaimed = { lease: null, lease_until_ms: 0 };

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

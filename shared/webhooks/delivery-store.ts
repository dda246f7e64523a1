import { sql } from "kysely";
import type { Database } from "../database/index.ts";

export const deliveryStates = ["pending", "delivered", "failed"] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** One event on its way to one webhook. */
export interface Delivery<Event extends string = string> {
  delivery_id: string;
  webhook_id: string;
  /** The number of the event that it tells of: a webhook hears of events in this order. */
  event_id: number;
  event: Event;
  /** The body, as it is sent at every try. */
  payload: string;
  state: DeliveryState;
  /** How often it was sent, and how often it may still be. */
  tries: number;
  tries_left: number;
  created_ms: number;
  /** When it may be sent (again). */
  due_ms: number;
  ended_ms: number | null;
  /** Of the last try. */
  response_status: number | null;
  error: string | null;
  /** Names one claim; whoever writes the outcome must hold it. */
  lease: string | null;
  lease_until_ms: number;
}

/** A delivery that this instance may send now, with where it goes. */
export interface ClaimedDelivery extends Delivery {
  readonly url: string;
  /** Sealed (`secrets.ts`); null without one. */
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

/**
 * Whose deliveries: `webhooks` has at least the columns `webhook_id`, `url`, `secret` and `status` (`ACTIVE` where it is
 * to be told), `deliveries` those of `Delivery`.
 */
export interface DeliveryTables {
  readonly webhooks: string;
  readonly deliveries: string;
}

export type DeliveryStore = ReturnType<typeof createDeliveryStore<string>>;

/** A delivery that nobody has tried yet, due at once. */
export function newDelivery<Event extends string>(
  told: Pick<Delivery<Event>, "delivery_id" | "webhook_id" | "event_id" | "event" | "payload">,
  tries: number,
  nowMs: number,
): Delivery<Event> {
  return {
    ...told,
    state: "pending",
    tries: 0,
    tries_left: tries,
    created_ms: nowMs,
    due_ms: nowMs,
    ended_ms: null,
    response_status: null,
    error: null,
    ...unclaimed,
  };
}

/** The SQL of deliveries that wait to be sent. */
export function createDeliveryStore<Event extends string>(database: Database, names: DeliveryTables) {
  const db = database.tables<object>();
  const webhooks = sql.table(names.webhooks);
  const deliveries = sql.table(names.deliveries);
  // See shared/queues/table-queue.ts: on SQLite there is one writer at a time anyway.
  const skipLocked = database.dialect === "postgres" ? sql`for update of d skip locked` : sql``;

  return {
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
      const { rows } = await sql<Delivery>`
        with turn as (
          select d.delivery_id
          from ${webhooks} w
          join ${deliveries} d on d.delivery_id = (
            select f.delivery_id from ${deliveries} f
            where f.webhook_id = w.webhook_id and f.state = 'pending' and f.due_ms <= ${nowMs}
            order by f.event_id
            limit 1)
          where w.status = 'ACTIVE' and d.state = 'pending' and d.lease_until_ms <= ${nowMs}
            and not exists (
              select 1 from ${deliveries} o
              where o.webhook_id = w.webhook_id and o.state = 'pending' and o.lease_until_ms > ${nowMs})
          order by d.due_ms, d.event_id
          limit ${limit}
          ${skipLocked}
        )
        update ${deliveries} set lease = ${lease}, lease_until_ms = ${leaseUntilMs}
        where delivery_id in (select delivery_id from turn)
        returning *`.execute(db);
      if (rows.length === 0) return [];
      const ids = rows.map((row) => row.webhook_id);
      const found = await sql<{ webhook_id: string; url: string; secret: string | null }>`
        select webhook_id, url, secret from ${webhooks} where webhook_id in (${sql.join(ids)})`.execute(db);
      const byId = new Map(found.rows.map((webhook) => [webhook.webhook_id, webhook]));
      return rows.flatMap((row) => {
        // Without one it was deleted a moment ago, and its deliveries with it.
        const webhook = byId.get(row.webhook_id);
        return webhook === undefined ? [] : [{ ...row, url: webhook.url, secret: webhook.secret }];
      });
    },

    /** Writes what a try came to. @returns false when the claim was no longer held: nothing is written. */
    async finish(deliveryId: string, lease: string, nowMs: number, outcome: TryOutcome): Promise<boolean> {
      const isPending = outcome.state === "pending";
      const error = outcome.state === "delivered" ? null : outcome.error;
      const { rows } = await sql`
        update ${deliveries} set
          state = ${outcome.state}, tries = tries + 1, tries_left = tries_left - 1,
          response_status = ${outcome.responseStatus}, error = ${error},
          due_ms = ${isPending ? outcome.dueMs : sql.ref("due_ms")},
          ended_ms = ${isPending ? sql.ref("ended_ms") : nowMs},
          lease = null, lease_until_ms = 0
        where delivery_id = ${deliveryId} and lease = ${lease}
        returning delivery_id`.execute(db);
      return rows.length > 0;
    },

    /** Gives a claim back without a try. */
    async release(deliveryId: string, lease: string): Promise<void> {
      await sql`
        update ${deliveries} set lease = null, lease_until_ms = 0
        where delivery_id = ${deliveryId} and lease = ${lease}`.execute(db);
    },

    /** Newest first. */
    async listDeliveries(
      webhookId: string,
      page: {
        readonly before: number | undefined;
        readonly state: DeliveryState | undefined;
        readonly limit: number;
      },
    ): Promise<Delivery<Event>[]> {
      const { before = Number.MAX_SAFE_INTEGER, state, limit } = page;
      const isWanted = state === undefined ? sql`` : sql`and state = ${state}`;
      const { rows } = await sql<Delivery<Event>>`
        select * from ${deliveries}
        where webhook_id = ${webhookId} and event_id < ${before} ${isWanted}
        order by event_id desc limit ${limit}`.execute(db);
      return rows;
    },

    async findDelivery(webhookId: string, deliveryId: string): Promise<Delivery<Event> | undefined> {
      const { rows } = await sql<Delivery<Event>>`
        select * from ${deliveries}
        where delivery_id = ${deliveryId} and webhook_id = ${webhookId}`.execute(db);
      return rows[0];
    },

    /** Makes an ended delivery due again. @returns undefined when it has not ended. */
    async requeue(deliveryId: string, tries: number, nowMs: number): Promise<Delivery<Event> | undefined> {
      const { rows } = await sql<Delivery<Event>>`
        update ${deliveries} set
          state = 'pending', tries_left = ${tries}, due_ms = ${nowMs}, ended_ms = null, lease = null, lease_until_ms = 0
        where delivery_id = ${deliveryId} and state <> 'pending'
        returning *`.execute(db);
      return rows[0];
    },

    /** Removes up to `limit` deliveries that ended, or have waited for a disabled webhook, since before a time. */
    async prune(beforeMs: number, limit: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from ${deliveries} where delivery_id in (
          select delivery_id from ${deliveries} where coalesce(ended_ms, due_ms) < ${beforeMs} limit ${limit})`.execute(
        db,
      );
      return Number(numAffectedRows ?? 0n);
    },
  };
}

const unclaimed = { lease: null, lease_until_ms: 0 };

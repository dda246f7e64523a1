import { randomUUID } from "node:crypto";
import type { Clock } from "../../../shared/clock.ts";
import { conflict, invalid, notFound, preconditionFailed } from "../../../shared/errors.ts";
import type { Actor, AuditLog } from "../../../shared/identity/index.ts";
import {
  complaintOf,
  type Deliverer,
  isSuccess,
  refusalOf,
  type SecretBox,
  type SendingOptions,
  send,
  triesPerDelivery,
} from "../../../shared/webhooks/index.ts";
import { requestHeaders } from "./headers.ts";
import { payloadOf, sampleNotification } from "./payloads.ts";
import type { AlertDelivery, PutSubscriptionBody, Subscription, SubscriptionTest } from "./schemas.ts";
import type { SubscriptionStore } from "./subscription-store.ts";
import type { SubscriptionRow } from "./tables.ts";

export interface SubscriptionOptions {
  readonly store: SubscriptionStore;
  readonly secrets: SecretBox;
  readonly sending: SendingOptions;
  readonly deliverer: Pick<Deliverer, "wake">;
  /** Names this Ketline in what is sent. */
  readonly source: string;
  readonly clock: Clock;
  readonly audit: AuditLog;
}

export interface SubscriptionChange {
  readonly actor: Actor;
  readonly reason?: string | undefined;
  readonly expectedRevision?: number;
}

export type Subscriptions = ReturnType<typeof createSubscriptions>;

/** Who is told of alerts. */
export function createSubscriptions(options: SubscriptionOptions) {
  const { store, secrets, sending, deliverer, source, clock, audit } = options;

  const find = async (name: string): Promise<SubscriptionRow> => {
    const row = await store.find(name);
    if (row === undefined) throw notFound(`There is no alert subscription "${name}".`);
    return row;
  };
  const expect = (row: SubscriptionRow | undefined, name: string, expected: number | undefined) => {
    const revision = row?.revision ?? 0;
    if (expected === undefined || expected === revision) return;
    throw preconditionFailed(
      `The alert subscription "${name}" is at revision ${revision}, not ${expected}. Read it again.`,
    );
  };

  return {
    get: async (name: string) => shown(await find(name)),
    list: async (after: string, limit: number) => (await store.list(after, limit)).map(shown),

    /** @throws invalid for an address that may not be sent to; preconditionFailed; conflict when somebody was quicker */
    async put(name: string, body: PutSubscriptionBody, change: SubscriptionChange): Promise<Subscription> {
      checkUrl(body.url, sending.allowPrivate);
      const before = await store.find(name);
      expect(before, name, change.expectedRevision);
      const id = before?.webhook_id ?? randomUUID();
      const nowMs = clock();
      const { actor, reason } = change;
      const row: SubscriptionRow = {
        webhook_id: id,
        name,
        url: body.url,
        secret: body.secret === undefined ? (before?.secret ?? null) : sealed(id, body.secret),
        status: body.status,
        format: body.format,
        monitor: body.monitor,
        revision: (before?.revision ?? 0) + 1,
        created_ms: before?.created_ms ?? nowMs,
        updated_ms: nowMs,
        updated_by: JSON.stringify({ id: actor.id, name: actor.name }),
      };
      if (body.format === "event-grid" && row.secret === null) {
        throw invalid("A topic of Event Grid takes events with its access key only: give it as secret.", {
          field: "secret",
        });
      }
      if (!(await store.write(row))) {
        throw conflict(`The alert subscription "${name}" has changed meanwhile. Read it again.`);
      }
      await audit.record({
        actor,
        action: `alert-subscription.${before === undefined ? "create" : "change"}`,
        subject: `alert-subscription/${name}`,
        ...(before === undefined ? {} : { before: shown(before) }),
        after: shown(row),
        ...(reason === undefined ? {} : { reason }),
      });
      if (row.status === "ACTIVE") deliverer.wake();
      return shown(row);
    },

    /** With what it was not told yet. @throws notFound, preconditionFailed, conflict */
    async remove(name: string, { actor, reason, expectedRevision }: SubscriptionChange): Promise<void> {
      const row = await find(name);
      expect(row, name, expectedRevision);
      if (!(await store.remove(row))) {
        throw conflict(`The alert subscription "${name}" has changed meanwhile. Read it again.`);
      }
      await audit.record({
        actor,
        action: "alert-subscription.delete",
        subject: `alert-subscription/${name}`,
        before: shown(row),
        ...(reason === undefined ? {} : { reason }),
      });
    },

    /** Sends a sample now and once, and tells what came back. @throws notFound */
    async test(name: string, actor: Actor, signal: AbortSignal): Promise<SubscriptionTest> {
      const row = await find(name);
      const nowMs = clock();
      const id = randomUUID();
      const body = payloadOf(row.format, id, source, sampleNotification(row.monitor ?? "sample", nowMs));
      const secret = row.secret === null ? null : secrets.open(row.webhook_id, row.secret);
      await audit.record({
        actor,
        action: "alert-subscription.test",
        subject: `alert-subscription/${name}`,
      });
      const headers = requestHeaders(id, nowMs, body, secret);
      const sent = await send(sending, { url: row.url, body, headers }, signal);
      if (sent.kind === "interrupted") {
        return { success: false, responseStatus: null, error: "The test was broken off." };
      }
      if (sent.kind !== "answered") return { success: false, responseStatus: null, error: sent.error };
      const success = isSuccess(sent.status);
      const error = success ? null : complaintOf(sent.status, sent.body);
      return { success, responseStatus: sent.status, error };
    },

    /** Newest first. @throws notFound */
    async deliveries(name: string, page: Parameters<SubscriptionStore["listDeliveries"]>[1]) {
      const { webhook_id: id } = await find(name);
      return store.listDeliveries(id, page);
    },

    /** Sends an ended delivery again, under its id. @throws notFound; conflict while it is pending */
    async retry(name: string, delivery: string, actor: Actor): Promise<AlertDelivery> {
      const { webhook_id: id } = await find(name);
      const before = await store.findDelivery(id, delivery);
      if (before === undefined) {
        throw notFound(`The alert subscription "${name}" has no delivery "${delivery}".`);
      }
      const row = await store.requeue(delivery, triesPerDelivery, clock());
      if (row === undefined) {
        throw conflict(
          `Delivery ${delivery} is pending and will be sent; only one that was delivered or has failed can be sent again.`,
        );
      }
      await audit.record({
        actor,
        action: "alert-subscription.retry",
        subject: `alert-subscription/${name}`,
        after: { delivery },
      });
      deliverer.wake();
      return deliveryJson(row);
    },
  };

  function sealed(id: string, secret: string | null): string | null {
    return secret === null ? null : secrets.seal(id, secret);
  }
}

function checkUrl(text: string, allowPrivate: boolean): void {
  const field = "url";
  const url = URL.parse(text);
  if (url === null) {
    throw invalid(`url is "${text}"; a whole URL such as https://example.org/alerts would be right.`, {
      field,
    });
  }
  const refused = refusalOf(url, allowPrivate);
  if (refused !== undefined) throw invalid(refused, { field });
  if (url.username !== "" || url.password !== "") {
    throw invalid(
      "url has a user name or password in it, which everybody who may read subscriptions would see. Give a secret instead.",
      { field },
    );
  }
}

function shown(row: SubscriptionRow): Subscription {
  return {
    name: row.name,
    url: row.url,
    format: row.format,
    hasSecret: row.secret !== null,
    monitor: row.monitor,
    status: row.status,
    revision: row.revision,
    createdMs: row.created_ms,
    updatedMs: row.updated_ms,
    updatedBy: JSON.parse(row.updated_by),
  };
}

export function deliveryJson(
  row: Awaited<ReturnType<SubscriptionStore["listDeliveries"]>>[number],
): AlertDelivery {
  return {
    id: row.delivery_id,
    event: row.event,
    state: row.state,
    tries: row.tries,
    createdMs: row.created_ms,
    nextTryMs: row.state === "pending" ? row.due_ms : null,
    endedMs: row.ended_ms,
    responseStatus: row.response_status,
    error: row.error,
    payload: JSON.parse(row.payload),
  };
}

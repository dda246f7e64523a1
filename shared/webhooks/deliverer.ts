import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.ts";
import { isKetlineError } from "../errors.ts";
import type { Logger } from "../telemetry/index.ts";
import type { ClaimedDelivery, DeliveryStore } from "./delivery-store.ts";
import { outcomeOf } from "./retries.ts";
import type { SecretBox } from "./secrets.ts";
import { type SendingOptions, type Sent, send } from "./sending.ts";

export interface DelivererOptions {
  readonly store: Pick<DeliveryStore, "claim" | "finish" | "release">;
  readonly secrets: SecretBox;
  readonly sending: SendingOptions;
  /** Of one try; `secret` is in clear, null where nothing is signed. */
  readonly headersOf: (
    delivery: ClaimedDelivery,
    nowMs: number,
    secret: string | null,
  ) => Record<string, string>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

/** Sends what the outbox holds. The deliveries are rows; whoever has time takes some, and a lost instance loses none. */
export interface Deliverer {
  /** Sends what is due, in the background. What it misses is left to the timer. */
  wake(): void;
  /** Sends everything that is due, until nothing is. @returns how many tries were made */
  deliverDue(): Promise<number>;
  /** Breaks off what is being sent and gives it back for another instance, or the next start. */
  stop(): Promise<void>;
}

/** Longer than a try takes: whoever still holds a delivery after it is gone, and another may send. */
const leaseMs = 60_000;
/** Requests under way at once from this instance, each to another webhook. */
const atOnce = 8;
/** One round ends after this and leaves the rest to the next, so that a host's limit on a timer does not end it. */
const maxRoundMs = 60_000;

export function createDeliverer(options: DelivererOptions): Deliverer {
  const { store, secrets, sending, headersOf, clock, logger, random } = options;
  const stopping = new AbortController();
  let round: Promise<number> | undefined;
  let again = false;

  async function deliverAll(): Promise<number> {
    const running = new Set<Promise<void>>();
    const endMs = clock() + maxRoundMs;
    let tries = 0;
    try {
      for (;;) {
        again = false;
        const room = stopping.signal.aborted || clock() > endMs ? 0 : atOnce - running.size;
        for (const delivery of await claim(room)) {
          const attempt = deliver(delivery).finally(() => running.delete(attempt));
          running.add(attempt);
          tries++;
        }
        if (running.size > 0) {
          await Promise.race(running);
        } else if (!again || room === 0) {
          // At once, so that whoever comes next begins a round instead of joining one that looks no more.
          round = undefined;
          return tries;
        }
      }
    } catch (error) {
      await Promise.all(running);
      round = undefined;
      throw error;
    }
  }

  async function claim(limit: number): Promise<readonly ClaimedDelivery[]> {
    if (limit <= 0) return [];
    const nowMs = clock();
    return store.claim({ lease: randomUUID(), nowMs, leaseUntilMs: nowMs + leaseMs, limit });
  }

  /** Never throws: what cannot be written is sent again when the claim has run out. */
  async function deliver(delivery: ClaimedDelivery): Promise<void> {
    const { delivery_id: deliveryId, webhook_id: webhookId, event, lease } = delivery;
    const seen = { webhookId, deliveryId, event, tries: delivery.tries + 1 };
    if (lease === null) return;
    try {
      const sent = await trySending(delivery);
      if (sent.kind === "interrupted") return await store.release(deliveryId, lease);
      const nowMs = clock();
      const outcome = outcomeOf(sent, delivery, nowMs, random());
      await store.finish(deliveryId, lease, nowMs, outcome);
      if (outcome.state === "delivered") logger.debug(seen, "a webhook was told of an event");
      else if (outcome.state === "pending") logger.info(seen, "a webhook was not reached and is tried again");
      else logger.warn(seen, "a webhook could not be told of an event; its deliveries say why");
    } catch (error) {
      logger.error({ ...seen, err: error }, "what became of a delivery could not be written down");
    }
  }

  async function trySending(delivery: ClaimedDelivery): Promise<Sent> {
    const { webhook_id, url, payload, secret: sealed } = delivery;
    let secret: string | null = null;
    try {
      if (sealed !== null) secret = secrets.open(webhook_id, sealed);
    } catch (error) {
      // An unsigned request would be worse than none.
      if (isKetlineError(error)) return { kind: "refused", error: error.message };
      throw error;
    }
    const headers = headersOf(delivery, clock(), secret);
    return send(sending, { url, body: payload, headers }, stopping.signal);
  }

  function deliverDue(): Promise<number> {
    again = true;
    round ??= deliverAll();
    return round;
  }

  return {
    deliverDue,
    wake() {
      if (stopping.signal.aborted) return;
      deliverDue().catch((error: unknown) =>
        logger.warn({ err: error }, "webhooks could not be told now; the timer tries again"),
      );
    },
    async stop() {
      stopping.abort();
      await round?.catch(() => {});
    },
  };
}

import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Database } from "../../shared/database/index.ts";
import type { Actor, AuditLog } from "../../shared/identity/index.ts";
import type { Tracking } from "../tracking/index.ts";
import type { NewEvent } from "./events.ts";
import { insertEvents, lockRegistry } from "./store/events.ts";
import type { RegistryTables, Store } from "./store/tables.ts";
import { writeDeliveries } from "./webhooks/delivery/outbox.ts";

/** What everything in the registry works with. */
export interface RegistryContext {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly tracking: Tracking;
  readonly clock: Clock;
  readonly audit: AuditLog;
  /** Told when a change has something for webhooks in the outbox. */
  readonly webhooks?: { wake(): void } | undefined;
}

/** Who makes a change, and why. */
export interface ChangeBy {
  readonly actor: Actor;
  readonly reason?: string | undefined;
}

/** A change under way: its transaction, and the events that it consists of. */
export interface Change extends Store {
  readonly nowMs: number;
  record(event: NewEvent): void;
}

export function storeOf({ database }: RegistryContext): Store {
  return { db: database.tables<RegistryTables>(), dialect: database.dialect };
}

/**
 * Makes a change and writes its events, all or nothing. Changes of the registry are made one after the other (each
 * locks its revision first), so what `work` reads is what stands when it writes: no writer can lose another's move.
 */
export async function changeRegistry<Result>(
  context: RegistryContext,
  by: ChangeBy,
  work: (change: Change) => Promise<Result>,
): Promise<Result> {
  const { actor, reason } = by;
  const { result, events, deliveries } = await context.database.transaction<
    RegistryTables,
    { readonly result: Result; readonly events: readonly NewEvent[]; readonly deliveries: number }
  >(async (db) => {
    const store: Store = { db, dialect: context.database.dialect };
    const events: NewEvent[] = [];
    const nowMs = context.clock();
    const revision = await lockRegistry(store);
    const result = await work({ ...store, nowMs, record: (event) => events.push(event) });
    await insertEvents(store, revision, events, {
      actorId: actor.id,
      actorName: actor.name,
      reason: reason ?? null,
      atMs: nowMs,
    });
    const deliveries = await writeDeliveries(store, revision, events, nowMs);
    return { result, events, deliveries };
  });
  if (deliveries > 0) context.webhooks?.wake();
  for (const { kind, model, alias, version, tag, before, after } of events) {
    const part = alias ?? (version === undefined ? tag : String(version));
    await context.audit.record({
      actor,
      action: kind,
      subject: part === undefined ? `model/${model}` : `model/${model}/${part}`,
      before,
      after,
      ...(reason === undefined ? {} : { reason }),
    });
  }
  return result;
}

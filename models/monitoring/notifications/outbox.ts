import { randomUUID } from "node:crypto";
import type { Transaction } from "kysely";
import { newDelivery, triesPerDelivery } from "../../../shared/webhooks/index.ts";
import { type Notification, payloadOf } from "./payloads.ts";
import type { AlertEventKind, NotificationTables, ToldAlert } from "./tables.ts";

/** What a change of alerts is told with. */
export interface Telling {
  readonly kind: AlertEventKind;
  readonly atMs: number;
  readonly by?: { readonly name: string; readonly reason: string | null } | undefined;
  /** Written down, but nobody is told. */
  readonly isSilent?: boolean;
}

/**
 * Writes what happened to alerts into their history, and a delivery for everybody who wants to hear of it. It runs in
 * the transaction that makes the change: what is committed will be sent, and what is rolled back is not. Alerts of one
 * monitor, series and kind are told in one request, however many signals of a window moved.
 *
 * @param source names this Ketline in what is sent
 */
export async function tellAlerts(
  trx: Transaction<NotificationTables>,
  source: string,
  alerts: readonly ToldAlert[],
  { kind, atMs, by, isSilent = false }: Telling,
): Promise<void> {
  if (alerts.length === 0) return;
  const written = await trx
    .insertInto("alert_event")
    .values(
      alerts.map(({ id }) => ({
        alert_id: id,
        kind,
        at_ms: atMs,
        actor: by?.name ?? null,
        reason: by?.reason ?? null,
      })),
    )
    .returning("event_id")
    .execute();
  // That a signal is quiet for the first time is no news yet.
  if (isSilent || kind === "resolving") return;
  const groups = Map.groupBy(alerts, ({ monitor, series }) => JSON.stringify([monitor, series]));
  const eventIds = written.map(({ event_id: id }) => id).toSorted((a, b) => a - b);
  let group = 0;
  for (const told of groups.values()) {
    const [first] = told;
    const eventId = eventIds[group++];
    if (first === undefined || eventId === undefined) continue;
    const { monitor, series } = first;
    const notification: Notification = {
      ...{ kind, atMs, monitor, series, alerts: told },
      ...{ by: by?.name ?? null, reason: by?.reason ?? null },
    };
    await deliver(trx, source, eventId, notification);
  }
}

async function deliver(
  trx: Transaction<NotificationTables>,
  source: string,
  eventId: number,
  notification: Notification,
): Promise<void> {
  const { monitor, kind, atMs } = notification;
  const subscriptions = await trx
    .selectFrom("alert_subscription")
    .select(["webhook_id", "format"])
    .where((is) => is.or([is("monitor", "is", null), is("monitor", "=", monitor)]))
    .where("status", "=", "ACTIVE")
    .execute();
  if (subscriptions.length === 0) return;
  const rows = subscriptions.map(({ webhook_id, format }) => {
    const delivery_id = randomUUID();
    const payload = payloadOf(format, delivery_id, source, notification);
    const told = { delivery_id, webhook_id, event_id: eventId, event: kind, payload };
    return newDelivery(told, triesPerDelivery, atMs);
  });
  await trx.insertInto("alert_delivery").values(rows).execute();
}

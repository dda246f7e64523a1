import type { Generated } from "kysely";
import type { Delivery } from "../../../shared/webhooks/index.ts";
import type { Alert } from "../schemas.ts";

export const alertEventKinds = [
  "fired",
  "resolving",
  "fired_again",
  "resolved",
  "acknowledged",
  "muted",
] as const;
/** What happens to an alert in its life. */
export type AlertEventKind = (typeof alertEventKinds)[number];

export const payloadFormats = ["cloudevents", "event-grid"] as const;
export type PayloadFormat = (typeof payloadFormats)[number];

/** Who is told of alerts. */
export interface SubscriptionRow {
  /** Of a subscription's whole life; one of the same name that is made later is another. */
  webhook_id: string;
  name: string;
  url: string;
  /** Sealed; null without one. */
  secret: string | null;
  status: "ACTIVE" | "PAUSED";
  format: PayloadFormat;
  /** Null: of all monitors. */
  monitor: string | null;
  revision: number;
  created_ms: number;
  updated_ms: number;
  /** Author as JSON. */
  updated_by: string;
}

export interface AlertEventTable {
  event_id: Generated<number>;
  alert_id: string;
  kind: AlertEventKind;
  at_ms: number;
  /** Who did it, for what a person does; null for what monitoring does. */
  actor: string | null;
  reason: string | null;
}

export interface NotificationTables {
  alert_subscription: SubscriptionRow;
  alert_event: AlertEventTable;
  alert_delivery: Delivery<AlertEventKind>;
}

/** An alert as it is told, at the time when it was told. */
export type ToldAlert = Pick<
  Alert,
  | "id"
  | "monitor"
  | "series"
  | "signal"
  | "state"
  | "message"
  | "value"
  | "threshold"
  | "windowEndMs"
  | "firedMs"
>;

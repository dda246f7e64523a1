import type { WebhookEvent } from "./webhook-events.ts";

/** The tables of the webhooks. Their migration stands in `../migrations.ts`. */
export interface WebhookTables {
  registry_webhook: WebhookRow;
  registry_webhook_event: { webhook_id: string; event: WebhookEvent; position: number };
  registry_webhook_delivery: DeliveryRow;
}

export const webhookStatuses = ["ACTIVE", "DISABLED"] as const;
export type WebhookStatus = (typeof webhookStatuses)[number];

export interface WebhookRow {
  webhook_id: string;
  name: string;
  description: string;
  url: string;
  status: WebhookStatus;
  /** Sealed (`secrets.ts`); null without one. */
  secret: string | null;
  created_ms: number;
  updated_ms: number;
}

export const deliveryStates = ["pending", "delivered", "failed"] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** One event on its way to one webhook. */
export interface DeliveryRow {
  delivery_id: string;
  webhook_id: string;
  /** The number of the registry event that it tells of. */
  event_id: number;
  event: WebhookEvent;
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

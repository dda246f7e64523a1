import type { Delivery } from "../../../shared/webhooks/index.ts";
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

/** An event of the registry's history on its way to one webhook. */
export type DeliveryRow = Delivery<WebhookEvent>;

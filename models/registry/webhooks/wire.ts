import type { z } from "zod";
import { unlessEmpty } from "../../../shared/mlflow/index.ts";
import type { DeliverySchema } from "./schemas.ts";
import type { LoadedWebhook } from "./store.ts";
import type { DeliveryRow } from "./tables.ts";
import { partsOf } from "./webhook-events.ts";

/** A webhook in MLflow's answers. Its secret is in none of them. */
export function webhookJson(webhook: LoadedWebhook) {
  return {
    webhook_id: webhook.webhook_id,
    name: webhook.name,
    description: unlessEmpty(webhook.description),
    url: webhook.url,
    events: webhook.events.map((event) => {
      const { entity, action } = partsOf(event);
      return { entity: entity.toUpperCase(), action: action.toUpperCase() };
    }),
    status: webhook.status,
    creation_timestamp: webhook.created_ms,
    last_updated_timestamp: webhook.updated_ms,
  };
}

export function deliveryJson(row: DeliveryRow): z.infer<typeof DeliverySchema> {
  return {
    id: row.delivery_id,
    webhookId: row.webhook_id,
    registryEventId: row.event_id,
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

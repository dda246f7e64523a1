import { z } from "zod";
import { pageOf, pageQuery } from "../../../shared/http/index.ts";
import { enumeration, int32, pageTokenText, requiredText, text } from "../../../shared/mlflow/index.ts";
import { deliveryStates } from "../../../shared/webhooks/index.ts";
import { actionNumbers, entityNumbers, webhookEvents } from "./webhook-events.ts";

/** The requests of MLflow's webhooks (mlflow/protos/webhooks.proto). The answers are written by `wire.ts`. */

const event = z.object({ entity: enumeration(entityNumbers), action: enumeration(actionNumbers) });
const events = z.array(event, "a list is expected").max(100, "at most 100 events are taken");
const status = enumeration({ ACTIVE: 1, DISABLED: 2 });

export const CreateWebhook = z.object({
  name: requiredText,
  url: requiredText,
  events,
  description: text.default(""),
  secret: text.default(""),
  status: status.default("ACTIVE"),
});
export const ListWebhooks = z.object({
  max_results: int32.default(100),
  page_token: pageTokenText.optional(),
});
export const GetWebhook = z.object({ webhook_id: requiredText });
export const UpdateWebhook = GetWebhook.extend({
  name: text.optional(),
  url: text.optional(),
  events: events.default([]),
  description: text.optional(),
  secret: text.optional(),
  status: status.optional(),
});
export const TestWebhook = GetWebhook.extend({ event: event.optional() });

/** Ketline's own: what became of the deliveries. */

export const DeliveriesParams = z.object({
  webhook: z.string().min(1).max(100).describe("The webhook's id"),
});
export const DeliveriesQuery = z.object({
  ...pageQuery,
  state: z.enum(deliveryStates).optional().describe("Only those in this state"),
});
export const DeliveryPosition = z.object({ eventId: z.int().min(0) });
export const DeliveryParams = DeliveriesParams.extend({
  delivery: z.string().min(1).max(100).describe("The delivery's id, as the receiver sees it"),
});
export const DeliverySchema = z
  .object({
    id: z.string().describe("What the receiver sees as X-MLflow-Delivery-Id, the same at every try"),
    webhookId: z.string(),
    registryEventId: z.int().describe("The event of the registry's history that it tells of"),
    event: z.enum(webhookEvents),
    state: z.enum(deliveryStates),
    tries: z.int().min(0).describe("How often it was sent"),
    createdMs: z.int(),
    nextTryMs: z.int().nullable().describe("Not before this; null when it has ended"),
    endedMs: z.int().nullable(),
    responseStatus: z.int().nullable().describe("What the receiver answered last; null when nobody answered"),
    error: z.string().nullable().describe("Why the last try was none that counts"),
    payload: z.unknown().describe("What is sent"),
  })
  .meta({ title: "WebhookDelivery" });
export const DeliveryPage = pageOf(DeliverySchema);

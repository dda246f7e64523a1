import { decodeCursor, json, page, type Route, route } from "../../../shared/http/index.ts";
import { many, mlflowRoute } from "../../../shared/mlflow/index.ts";
import {
  CreateWebhook,
  DeliveriesParams,
  DeliveriesQuery,
  DeliveryPage,
  DeliveryParams,
  DeliveryPosition,
  DeliverySchema,
  GetWebhook,
  ListWebhooks,
  TestWebhook,
  UpdateWebhook,
} from "./schemas.ts";
import {
  createWebhook,
  deleteWebhook,
  getWebhook,
  listDeliveries,
  listWebhooks,
  retryDelivery,
  testWebhook,
  updateWebhook,
  type WebhookContext,
} from "./webhooks.ts";
import { deliveryJson, webhookJson } from "./wire.ts";

/** All of it takes an operator: a webhook lets this server send requests, and its URL is often a secret in itself. */
const role = "operator";

export function webhookRoutes(context: WebhookContext): Route[] {
  return [...mlflowRoutes(context), ...deliveryRoutes(context)];
}

function mlflowRoutes(context: WebhookContext): Route[] {
  const one = "/webhooks/:webhook_id";
  return [
    mlflowRoute({
      method: "POST",
      path: "/webhooks",
      role,
      summary: "Create a webhook",
      request: CreateWebhook,
      handle: async (request, { actor }) => ({
        webhook: webhookJson(await createWebhook(context, request, actor)),
      }),
    }),
    mlflowRoute({
      method: "GET",
      path: "/webhooks",
      role,
      summary: "List webhooks, newest first",
      request: ListWebhooks,
      handle: async (request) => {
        const { webhooks, nextPageToken } = await listWebhooks(context, request);
        return { webhooks: many(webhooks.map(webhookJson)), next_page_token: nextPageToken };
      },
    }),
    mlflowRoute({
      method: "GET",
      path: one,
      role,
      summary: "Get a webhook",
      request: GetWebhook,
      handle: async ({ webhook_id }) => ({ webhook: webhookJson(await getWebhook(context, webhook_id)) }),
    }),
    mlflowRoute({
      method: "PATCH",
      path: one,
      role,
      summary: "Change a webhook",
      request: UpdateWebhook,
      handle: async (request, { actor }) => ({
        webhook: webhookJson(await updateWebhook(context, request, actor)),
      }),
    }),
    mlflowRoute({
      method: "DELETE",
      path: one,
      role,
      summary: "Delete a webhook, with what it was not told yet",
      request: GetWebhook,
      handle: async ({ webhook_id }, { actor }) => {
        await deleteWebhook(context, webhook_id, actor);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: `${one}/test`,
      role,
      summary: "Send a sample event to a webhook",
      request: TestWebhook,
      handle: async ({ webhook_id, event }, { actor, signal }) => ({
        result: await testWebhook(context, webhook_id, event, { actor, signal }),
      }),
    }),
  ].flat();
}

function deliveryRoutes(context: WebhookContext): Route[] {
  const path = "/api/v1/webhooks/:webhook/deliveries";
  return [
    route({
      method: "GET",
      path,
      protocol: "ketline",
      role,
      summary: "What became of the events that a webhook was to be told of, newest first",
      description: "Kept for seven days after they were delivered or given up.",
      tag: "Registry",
      params: DeliveriesParams,
      query: DeliveriesQuery,
      responses: { 200: { description: "One page of deliveries", schema: DeliveryPage } },
      async handle({ params, query: { limit, cursor, state } }) {
        const before = decodeCursor(DeliveryPosition, cursor)?.eventId;
        const found = await listDeliveries(context, params.webhook, { before, state, limit: limit + 1 });
        return json(page(found, limit, deliveryJson, ({ event_id }) => ({ eventId: event_id })));
      },
    }),
    route({
      method: "POST",
      path: `${path}/:delivery/retry`,
      protocol: "ketline",
      role,
      summary: "Send a delivery again that was delivered or given up",
      description: "Under the same id, so that a receiver can tell that it has seen it.",
      tag: "Registry",
      params: DeliveryParams,
      responses: { 200: { description: "The delivery, pending again", schema: DeliverySchema } },
      handle: async ({ params, actor }) =>
        json(deliveryJson(await retryDelivery(context, params.webhook, params.delivery, actor))),
    }),
  ];
}

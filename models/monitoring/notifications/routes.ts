import {
  decodeCursor,
  expectedRevisionOf,
  expecting,
  json,
  page,
  type Route,
  route,
  tagged,
} from "../../../shared/http/index.ts";
import {
  AlertDeliveriesQuery,
  AlertDelivery,
  AlertDeliveryPage,
  AlertDeliveryParams,
  AlertDeliveryPosition,
  PutSubscriptionBody,
  Subscription,
  SubscriptionPage,
  SubscriptionParams,
  SubscriptionPosition,
  SubscriptionsQuery,
  SubscriptionTest,
} from "./schemas.ts";
import { deliveryJson, type Subscriptions } from "./subscriptions.ts";

/** All of it takes an operator: a subscription lets this server send requests, and its URL is often a secret in itself. */
const common = { protocol: "ketline", tag: "Monitoring", role: "operator" } as const;
const base = "/api/v1/alert-subscriptions";

export function subscriptionRoutes(subscriptions: Subscriptions): readonly Route[] {
  return [
    route({
      ...common,
      method: "GET",
      path: base,
      summary: "List who is told of alerts, in the order of their names",
      query: SubscriptionsQuery,
      responses: { 200: { description: "One page of subscriptions", schema: SubscriptionPage } },
      handle: async ({ query: { limit, cursor } }) => {
        const after = decodeCursor(SubscriptionPosition, cursor)?.name ?? "";
        const found = await subscriptions.list(after, limit + 1);
        return json(
          page(
            found,
            limit,
            (one) => one,
            ({ name }) => ({ name }),
          ),
        );
      },
    }),
    route({
      ...common,
      method: "PUT",
      path: `${base}/:name`,
      summary: "Have somebody told of alerts",
      description:
        "An event is posted when an alert fires, fires again, is acknowledged, muted or resolved, at least once and in this " +
        "order: at once, and then with growing pauses for about three hours. Alerts of one window come in one event.",
      params: SubscriptionParams,
      body: PutSubscriptionBody,
      responses: { 200: { description: "The subscription", schema: Subscription } },
      handle: async ({ params, body, actor, request }) => {
        const change = { actor, reason: body.reason, ...expecting(expectedRevisionOf(request)) };
        return tagged(await subscriptions.put(params.name, body, change));
      },
    }),
    route({
      ...common,
      method: "GET",
      path: `${base}/:name`,
      summary: "Read who is told of alerts",
      params: SubscriptionParams,
      responses: { 200: { description: "The subscription", schema: Subscription } },
      handle: async ({ params }) => tagged(await subscriptions.get(params.name)),
    }),
    route({
      ...common,
      method: "DELETE",
      path: `${base}/:name`,
      summary: "Tell somebody of alerts no longer",
      params: SubscriptionParams,
      responses: { 204: { description: "It is gone, with what it was not told yet" } },
      handle: async ({ params, actor, request }) => {
        await subscriptions.remove(params.name, { actor, ...expecting(expectedRevisionOf(request)) });
        return { status: 204, json: null };
      },
    }),
    route({
      ...common,
      method: "POST",
      path: `${base}/:name/test`,
      summary: "Send a sample alert and tell what came back",
      params: SubscriptionParams,
      responses: { 200: { description: "What came back", schema: SubscriptionTest } },
      handle: async ({ params, actor, signal }) => json(await subscriptions.test(params.name, actor, signal)),
    }),
    route({
      ...common,
      method: "GET",
      path: `${base}/:name/deliveries`,
      summary: "What became of the events that somebody was to be told of, newest first",
      params: SubscriptionParams,
      query: AlertDeliveriesQuery,
      responses: { 200: { description: "One page of deliveries", schema: AlertDeliveryPage } },
      handle: async ({ params, query: { limit, cursor, state } }) => {
        const before = decodeCursor(AlertDeliveryPosition, cursor)?.eventId;
        const found = await subscriptions.deliveries(params.name, { before, state, limit: limit + 1 });
        return json(page(found, limit, deliveryJson, ({ event_id }) => ({ eventId: event_id })));
      },
    }),
    route({
      ...common,
      method: "POST",
      path: `${base}/:name/deliveries/:delivery/retry`,
      summary: "Send an event again that was delivered or given up",
      params: AlertDeliveryParams,
      responses: { 200: { description: "The delivery, pending again", schema: AlertDelivery } },
      handle: async ({ params, actor }) =>
        json(await subscriptions.retry(params.name, params.delivery, actor)),
    }),
  ];
}

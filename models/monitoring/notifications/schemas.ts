import { z } from "zod";
import { pageOf, pageQuery } from "../../../shared/http/index.ts";
import { deliveryStates } from "../../../shared/webhooks/index.ts";
import { alertEventKinds, payloadFormats } from "./tables.ts";

const Name = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
    "1 to 63 letters, digits, dots, underscores and hyphens",
  );
const Author = z.object({ id: z.string(), name: z.string() });

export const SubscriptionParams = z.object({ name: Name });
export const SubscriptionsQuery = z.object(pageQuery);
export const SubscriptionPosition = z.object({ name: z.string() });

export const PutSubscriptionBody = z.strictObject({
  url: z
    .string()
    .min(1)
    .max(2000)
    .describe(
      "Where events are posted: https, and a public address unless KETLINE_WEBHOOK_ALLOW_PRIVATE=true",
    ),
  format: z
    .enum(payloadFormats)
    .default("cloudevents")
    .describe("CloudEvents 1.0 in JSON, or the list of one that a topic of Event Grid takes"),
  secret: z
    .string()
    .min(8)
    .max(1000)
    .nullish()
    .describe(
      "Signs CloudEvents as Standard Webhooks do (a `whsec_…` secret is decoded first), and is the access key of an Event " +
        "Grid topic. Left out it stays as it was; null removes it. It is never shown again.",
    ),
  monitor: z
    .string()
    .min(1)
    .max(200)
    .nullable()
    .default(null)
    .describe("Only alerts of this monitor; null: of all"),
  status: z.enum(["ACTIVE", "PAUSED"]).default("ACTIVE"),
  reason: z.string().max(2000).optional(),
});
export type PutSubscriptionBody = z.infer<typeof PutSubscriptionBody>;

export const Subscription = z
  .object({
    name: z.string(),
    url: z.string(),
    format: z.enum(payloadFormats),
    hasSecret: z.boolean(),
    monitor: z.string().nullable(),
    status: z.enum(["ACTIVE", "PAUSED"]),
    revision: z.int(),
    createdMs: z.int(),
    updatedMs: z.int(),
    updatedBy: Author,
  })
  .meta({ title: "AlertSubscription" });
export type Subscription = z.infer<typeof Subscription>;
export const SubscriptionPage = pageOf(Subscription);

export const SubscriptionTest = z.object({
  success: z.boolean(),
  responseStatus: z.int().nullable(),
  error: z.string().nullable(),
});
export type SubscriptionTest = z.infer<typeof SubscriptionTest>;

export const AlertDeliveriesQuery = z.object({
  ...pageQuery,
  state: z.enum(deliveryStates).optional().describe("Only those in this state"),
});
export const AlertDeliveryPosition = z.object({ eventId: z.int().min(0) });
export const AlertDeliveryParams = SubscriptionParams.extend({ delivery: z.string().min(1).max(100) });
export const AlertDelivery = z
  .object({
    id: z.string().describe("What the receiver sees as the event's id, the same at every try"),
    event: z.enum(alertEventKinds),
    state: z.enum(deliveryStates),
    tries: z.int(),
    createdMs: z.int(),
    nextTryMs: z.int().nullable().describe("Not before this; null when it has ended"),
    endedMs: z.int().nullable(),
    responseStatus: z.int().nullable(),
    error: z.string().nullable(),
    payload: z.unknown().describe("What is sent"),
  })
  .meta({ title: "AlertDelivery" });
export type AlertDelivery = z.infer<typeof AlertDelivery>;
export const AlertDeliveryPage = pageOf(AlertDelivery);

export const AlertEvents = z.object({
  items: z.array(
    z.object({
      kind: z.enum(alertEventKinds),
      atMs: z.int(),
      by: z.string().nullable().describe("Who did it, for what a person does"),
      reason: z.string().nullable(),
    }),
  ),
});

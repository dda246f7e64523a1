import { randomUUID } from "node:crypto";
import type { z } from "zod";
import type { Clock } from "../../../shared/clock.ts";
import { conflict, invalid, notFound } from "../../../shared/errors.ts";
import type { Actor, AuditLog } from "../../../shared/identity/index.ts";
import { pageToken, readPageToken } from "../../../shared/mlflow/index.ts";
import {
  complaintOf,
  type Deliverer,
  isSuccess,
  type SecretBox,
  type SendingOptions,
  send,
  triesPerDelivery,
} from "../../../shared/webhooks/index.ts";
import { checkWebhookName, checkWebhookTexts, checkWebhookUrl } from "./delivery/checks.ts";
import { deliveryHeaders } from "./delivery/signature.ts";
import type { CreateWebhook, UpdateWebhook } from "./schemas.ts";
import type { LoadedWebhook, WebhookStore } from "./store.ts";
import type { DeliveryRow, WebhookRow } from "./tables.ts";
import { payloadOf, sampleData, type WebhookEvent, webhookEventOf } from "./webhook-events.ts";

export interface WebhookContext {
  readonly store: WebhookStore;
  readonly secrets: SecretBox;
  readonly sending: SendingOptions;
  readonly deliverer: Deliverer;
  readonly clock: Clock;
  readonly audit: AuditLog;
}

/** @throws invalid. */
export async function createWebhook(
  context: WebhookContext,
  request: z.infer<typeof CreateWebhook>,
  actor: Actor,
): Promise<LoadedWebhook> {
  const { store, secrets, sending, clock, audit } = context;
  const { name, url, description, secret, status } = request;
  checkWebhookName(name);
  checkWebhookUrl(url, sending.allowPrivate);
  checkWebhookTexts(request);
  const events = eventsOf(request.events);
  if (events.length === 0) throw noEvents();
  const webhookId = randomUUID();
  const nowMs = clock();
  const row: WebhookRow = {
    webhook_id: webhookId,
    name,
    description,
    url,
    status,
    secret: secret === "" ? null : secrets.seal(webhookId, secret),
    created_ms: nowMs,
    updated_ms: nowMs,
  };
  await store.insert(row, events);
  const made = { ...row, events };
  await audit.record({ actor, action: "webhook.created", subject: subjectOf(webhookId), after: told(made) });
  return made;
}

/** @throws notFound. */
export async function getWebhook({ store }: WebhookContext, id: string): Promise<LoadedWebhook> {
  const webhook = await store.find(id);
  if (webhook === undefined) throw noWebhook(id);
  return webhook;
}

/** Newest first. @throws invalid for a page size or token that cannot be. */
export async function listWebhooks(
  { store }: WebhookContext,
  request: { readonly max_results: number; readonly page_token?: string | undefined },
): Promise<{ readonly webhooks: readonly LoadedWebhook[]; readonly nextPageToken?: string }> {
  // 0 is "not set" in MLflow.
  const limit = request.max_results === 0 ? 100 : request.max_results;
  if (limit < 1 || limit > 1000) {
    throw invalid(`max_results must be between 1 and 1000, got ${limit}.`, { field: "max_results" });
  }
  const [createdMs, id] = readPageToken(request.page_token, ["integer", "text"]) ?? [];
  const after = createdMs === undefined ? undefined : { createdMs: Number(createdMs), id: String(id) };
  const found = await store.list(after, limit + 1);
  const webhooks = found.slice(0, limit);
  const last = webhooks.at(-1);
  if (found.length <= limit || last === undefined) return { webhooks };
  return { webhooks, nextPageToken: pageToken([last.created_ms, last.webhook_id]) };
}

/**
 * Changes what is given. An empty name or URL and no events leave them as they are (protobuf cannot tell them from
 * absent ones); an empty description or secret removes it.
 *
 * @throws notFound, invalid.
 */
export async function updateWebhook(
  context: WebhookContext,
  request: z.infer<typeof UpdateWebhook>,
  actor: Actor,
): Promise<LoadedWebhook> {
  const { store, secrets, sending, clock, audit, deliverer } = context;
  const { webhook_id: id, description, secret, status } = request;
  const name = request.name === "" ? undefined : request.name;
  const url = request.url === "" ? undefined : request.url;
  if (name !== undefined) checkWebhookName(name);
  if (url !== undefined) checkWebhookUrl(url, sending.allowPrivate);
  checkWebhookTexts(request);
  const events = request.events.length === 0 ? undefined : eventsOf(request.events);
  const change: Partial<WebhookRow> = {
    updated_ms: clock(),
    ...(name === undefined ? {} : { name }),
    ...(url === undefined ? {} : { url }),
    ...(description === undefined ? {} : { description }),
    ...(secret === undefined ? {} : { secret: secret === "" ? null : secrets.seal(id, secret) }),
    ...(status === undefined ? {} : { status }),
  };
  const before = await store.update(id, change, events);
  if (before === undefined) throw noWebhook(id);
  const after: LoadedWebhook = { ...before, ...change, ...(events === undefined ? {} : { events }) };
  await audit.record({
    actor,
    action: "webhook.updated",
    subject: subjectOf(id),
    before: told(before),
    after: { ...told(after), secretChanged: secret !== undefined },
  });
  // What waited while it was disabled is due.
  if (before.status === "DISABLED" && after.status === "ACTIVE") deliverer.wake();
  return after;
}

/** Removes it with what was not delivered yet. @throws notFound. */
export async function deleteWebhook(context: WebhookContext, id: string, actor: Actor): Promise<void> {
  const before = await context.store.remove(id);
  if (before === undefined) throw noWebhook(id);
  await context.audit.record({
    actor,
    action: "webhook.deleted",
    subject: subjectOf(id),
    before: told(before),
  });
}

export interface WebhookTest {
  readonly success: boolean;
  readonly response_status?: number;
  readonly response_body?: string;
  readonly error_message?: string;
}

/**
 * Sends a sample of an event (by default the first that the webhook is told of) now and once, and tells what came back.
 *
 * @throws notFound; invalid for an event that does not exist; unavailable when the secret cannot be read.
 */
export async function testWebhook(
  context: WebhookContext,
  id: string,
  event: { readonly entity: string; readonly action: string } | undefined,
  by: { readonly actor: Actor; readonly signal: AbortSignal },
): Promise<WebhookTest> {
  const { sending, secrets, clock, audit } = context;
  const asked = event === undefined ? undefined : webhookEventOf(event.entity, event.action);
  const webhook = await getWebhook(context, id);
  const name = asked ?? webhook.events[0];
  if (name === undefined) throw noEvents();
  const nowMs = clock();
  const body = payloadOf(name, nowMs, sampleData[name]);
  const secret = webhook.secret === null ? null : secrets.open(id, webhook.secret);
  const headers = deliveryHeaders(randomUUID(), nowMs, body, secret);
  await audit.record({
    actor: by.actor,
    action: "webhook.tested",
    subject: subjectOf(id),
    after: { event: name },
  });
  const sent = await send(sending, { url: webhook.url, body, headers }, by.signal);
  if (sent.kind === "interrupted") return { success: false, error_message: "The test was broken off." };
  if (sent.kind !== "answered") return { success: false, error_message: sent.error };
  const success = isSuccess(sent.status);
  return {
    success,
    response_status: sent.status,
    response_body: sent.body,
    ...(success ? {} : { error_message: complaintOf(sent.status, "") }),
  };
}

/** Newest first. @throws notFound. */
export async function listDeliveries(
  context: WebhookContext,
  webhookId: string,
  page: Parameters<WebhookStore["listDeliveries"]>[1],
): Promise<readonly DeliveryRow[]> {
  await getWebhook(context, webhookId);
  return context.store.listDeliveries(webhookId, page);
}

/** Sends an ended delivery again, under its id and with all its tries. @throws notFound; conflict while it is pending. */
export async function retryDelivery(
  context: WebhookContext,
  webhookId: string,
  deliveryId: string,
  actor: Actor,
): Promise<DeliveryRow> {
  const { store, clock, audit, deliverer } = context;
  await getWebhook(context, webhookId);
  const before = await store.findDelivery(webhookId, deliveryId);
  if (before === undefined) throw notFound(`The webhook ${webhookId} has no delivery "${deliveryId}".`);
  const row = await store.requeue(deliveryId, triesPerDelivery, clock());
  if (row === undefined) {
    throw conflict(
      `Delivery ${deliveryId} is pending and will be sent; only one that was delivered or has failed can be sent again.`,
    );
  }
  await audit.record({
    actor,
    action: "webhook.delivery-retried",
    subject: `${subjectOf(webhookId)}/deliveries/${deliveryId}`,
    before: { state: before.state },
    after: { state: row.state },
  });
  deliverer.wake();
  return row;
}

function eventsOf(
  events: readonly { readonly entity: string; readonly action: string }[],
): readonly WebhookEvent[] {
  return [...new Set(events.map(({ entity, action }) => webhookEventOf(entity, action)))];
}

const subjectOf = (id: string) => `webhook/${id}`;

/** What the audit log says of a webhook: whether it signs, never with what. */
function told({ name, url, description, events, status, secret }: LoadedWebhook) {
  return { name, url, description, events, status, signs: secret !== null };
}

function noEvents() {
  return invalid(
    "Webhook events must be a non-empty list, such as [{entity: MODEL_VERSION, action: CREATED}].",
    {
      field: "events",
    },
  );
}

function noWebhook(id: string) {
  return notFound(`Webhook with ID ${id} not found.`);
}

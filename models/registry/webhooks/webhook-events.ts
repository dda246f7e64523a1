import { invalid } from "../../../shared/errors.ts";

/** The events that a webhook can be told of, as MLflow 3.17 knows them (mlflow/entities/webhook.py): `entity.action`. */
export const webhookEvents = [
  "registered_model.created",
  "model_version.created",
  "model_version_tag.set",
  "model_version_tag.deleted",
  "model_version_alias.created",
  "model_version_alias.deleted",
  "prompt.created",
  "prompt_version.created",
  "prompt_tag.set",
  "prompt_tag.deleted",
  "prompt_version_tag.set",
  "prompt_version_tag.deleted",
  "prompt_alias.created",
  "prompt_alias.deleted",
  // Of MLflow's gateway, which Ketline has not: taken, so that clients need not know, and never sent.
  "budget_policy.exceeded",
] as const;
export type WebhookEvent = (typeof webhookEvents)[number];

/** The numbers of the protocol's enumerations (mlflow/protos/webhooks.proto). */
export const entityNumbers = {
  REGISTERED_MODEL: 1,
  MODEL_VERSION: 2,
  MODEL_VERSION_TAG: 3,
  MODEL_VERSION_ALIAS: 4,
  PROMPT: 5,
  PROMPT_VERSION: 6,
  PROMPT_TAG: 7,
  PROMPT_VERSION_TAG: 8,
  PROMPT_ALIAS: 9,
  BUDGET_POLICY: 10,
} as const;
export const actionNumbers = { CREATED: 1, UPDATED: 2, DELETED: 3, SET: 4, EXCEEDED: 5 } as const;

/** @throws invalid when nothing of that kind ever happens to such an entity. */
export function webhookEventOf(entity: string, action: string): WebhookEvent {
  const name = `${entity}.${action}`.toLowerCase();
  const found = webhookEvents.find((event) => event === name);
  if (found !== undefined) return found;
  const actions = webhookEvents
    .filter((event) => event.startsWith(`${entity.toLowerCase()}.`))
    .map((event) => `'${partsOf(event).action}'`);
  throw invalid(
    `Invalid action '${action.toLowerCase()}' for entity '${entity.toLowerCase()}'. Valid actions are: [${actions.join(", ")}]`,
    { field: "events" },
  );
}

export function partsOf(event: WebhookEvent): { readonly entity: string; readonly action: string } {
  const dot = event.indexOf(".");
  return { entity: event.slice(0, dot), action: event.slice(dot + 1) };
}

/** The body of a webhook request. The same event has the same bytes at every try. @param atMs when it happened */
export function payloadOf(event: WebhookEvent, atMs: number, data: object): string {
  // MLflow writes the zone as +00:00; parsers of the time before Python 3.11 know no Z.
  const timestamp = new Date(atMs).toISOString().replace("Z", "+00:00");
  return JSON.stringify({ ...partsOf(event), timestamp, data });
}

const version = { name: "flight-delays", version: "3" };
const tag = { key: "checked", value: "yes" };
const alias = { name: "flight-delays", alias: "champion" };
const texts = { tags: { team: "delays" }, description: "A sample, sent to try the webhook" };
const prompt = { name: "summary", version: "2" };

/** What a test of a webhook sends: for each event the members that a real one has. */
export const sampleData: Readonly<Record<WebhookEvent, object>> = {
  "registered_model.created": { name: version.name, ...texts },
  "model_version.created": {
    ...version,
    source: "models:/m-0123456789abcdef0123456789abcdef",
    run_id: "0123456789abcdef0123456789abcdef",
    ...texts,
  },
  "model_version_tag.set": { ...version, ...tag },
  "model_version_tag.deleted": { ...version, key: tag.key },
  "model_version_alias.created": { ...alias, version: version.version },
  "model_version_alias.deleted": alias,
  "prompt.created": { name: prompt.name, ...texts },
  "prompt_version.created": { ...prompt, template: "Summarise {{text}}.", ...texts },
  "prompt_tag.set": { name: prompt.name, ...tag },
  "prompt_tag.deleted": { name: prompt.name, key: tag.key },
  "prompt_version_tag.set": { ...prompt, ...tag },
  "prompt_version_tag.deleted": { ...prompt, key: tag.key },
  "prompt_alias.created": { name: prompt.name, alias: alias.alias, version: prompt.version },
  "prompt_alias.deleted": { name: prompt.name, alias: alias.alias },
  "budget_policy.exceeded": {
    budget_policy_id: "bp-sample",
    budget_unit: "USD",
    budget_amount: 100,
    current_spend: 101.5,
    duration_unit: "MONTHS",
    duration_value: 1,
    target_scope: "GLOBAL",
    workspace: "default",
    target_value: null,
    window_start: 1_767_225_600_000,
  },
};

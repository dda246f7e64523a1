import { randomUUID } from "node:crypto";
import { newDelivery, triesPerDelivery } from "../../../../shared/webhooks/index.ts";
import type { NewEvent } from "../../events.ts";
import { findModelTag, loadModels, versionUid } from "../../store/models.ts";
import type { Store } from "../../store/tables.ts";
import { loadVersions, promptTag } from "../../store/versions.ts";
import type { DeliveryRow } from "../tables.ts";
import { payloadOf, type WebhookEvent } from "../webhook-events.ts";

/**
 * Writes a delivery for each event and each active webhook that wants to be told of it. It runs in the transaction that
 * makes the change: what is committed will be sent, what is rolled back is not, and a crash in between loses nothing.
 *
 * @param revision the number before that of the first event
 * @returns how many deliveries were written
 */
export async function writeDeliveries(
  store: Store,
  revision: number,
  events: readonly NewEvent[],
  atMs: number,
): Promise<number> {
  if (events.length === 0) return 0;
  const wanted = await selectWanted(store);
  if (wanted.size === 0) return 0;
  const rows: DeliveryRow[] = [];
  for (const [index, event] of events.entries()) {
    if (isOfDeletedModel(event, events)) continue;
    const told = await tell(store, event);
    if (told === undefined) continue;
    const { event: name } = told;
    const payload = payloadOf(name, atMs, told.data);
    for (const webhookId of wanted.get(name) ?? []) {
      const delivery = {
        delivery_id: randomUUID(),
        webhook_id: webhookId,
        event_id: revision + 1 + index,
        event: name,
        payload,
      };
      rows.push(newDelivery(delivery, triesPerDelivery, atMs));
    }
  }
  // 15 columns; SQLite takes 32,766 values in one statement.
  for (let start = 0; start < rows.length; start += 1000) {
    await store.db
      .insertInto("registry_webhook_delivery")
      .values(rows.slice(start, start + 1000))
      .execute();
  }
  return rows.length;
}

async function selectWanted({ db }: Store): Promise<Map<WebhookEvent, string[]>> {
  const rows = await db
    .selectFrom("registry_webhook_event as e")
    .innerJoin("registry_webhook as w", "w.webhook_id", "e.webhook_id")
    .where("w.status", "=", "ACTIVE")
    .select(["e.event", "e.webhook_id"])
    .execute();
  const wanted = new Map<WebhookEvent, string[]>();
  for (const { event, webhook_id } of rows) wanted.set(event, [...(wanted.get(event) ?? []), webhook_id]);
  return wanted;
}

/** MLflow has no event for a model that is deleted, and none for the aliases that go with it. */
function isOfDeletedModel({ modelUid }: NewEvent, events: readonly NewEvent[]): boolean {
  return events.some((event) => event.kind === "model.deleted" && event.modelUid === modelUid);
}

interface Told {
  readonly event: WebhookEvent;
  readonly data: object;
}

/** How MLflow tells of a change of the registry, with the members of mlflow/webhooks/types.py; most are not told. */
async function tell(store: Store, event: NewEvent): Promise<Told | undefined> {
  const { model: name, alias, tag: key, after } = event;
  const isPrompt = async () => isTrue(await findModelTag(store, event.modelUid, promptTag));
  const version = String(event.version ?? "");
  switch (event.kind) {
    case "model.created":
      return tellModel(store, event);
    case "version.created":
      return tellVersion(store, event);
    case "model.tag-set":
      return (await isPrompt()) ? { event: "prompt_tag.set", data: { name, key, value: after } } : undefined;
    case "model.tag-deleted":
      return (await isPrompt()) ? { event: "prompt_tag.deleted", data: { name, key } } : undefined;
    case "version.tag-set":
      return {
        event: (await isPrompt()) ? "prompt_version_tag.set" : "model_version_tag.set",
        data: { name, version, key, value: after },
      };
    case "version.tag-deleted":
      return {
        event: (await isPrompt()) ? "prompt_version_tag.deleted" : "model_version_tag.deleted",
        data: { name, version, key },
      };
    case "alias.set":
      return {
        event: (await isPrompt()) ? "prompt_alias.created" : "model_version_alias.created",
        data: { name, alias, version },
      };
    case "alias.deleted":
      return {
        event: (await isPrompt()) ? "prompt_alias.deleted" : "model_version_alias.deleted",
        data: { name, alias },
      };
    default:
      return undefined;
  }
}

/** What marks a prompt is not its user's own. */
const promptMarks: readonly string[] = [promptTag, "_mlflow_prompt_type"];
const promptText = "mlflow.prompt.text";

async function tellModel(store: Store, event: NewEvent): Promise<Told | undefined> {
  const [model] = await loadModels(store, [event.modelUid]);
  if (model === undefined) return undefined;
  const { name, description } = model;
  const tags = new Map(model.tags.map(({ key, value }) => [key, value]));
  if (!isTrue(tags.get(promptTag))) {
    return { event: "registered_model.created", data: { name, tags: Object.fromEntries(tags), description } };
  }
  return { event: "prompt.created", data: { name, tags: without(tags, promptMarks), description } };
}

async function tellVersion(store: Store, event: NewEvent): Promise<Told | undefined> {
  const [row] = await loadVersions(store, [versionUid(event.modelUid, event.version ?? 0)]);
  if (row === undefined) return undefined;
  const tags = new Map(row.tags.map(({ key, value }) => [key, value]));
  const named = { name: row.name, version: String(row.version) };
  const description = row.description === "" ? null : row.description;
  if (isTrue(tags.get(promptTag))) {
    const template = tags.get(promptText) ?? null;
    const own = without(tags, [...promptMarks, promptText]);
    return { event: "prompt_version.created", data: { ...named, template, tags: own, description } };
  }
  const made = { source: row.source, run_id: row.run_id === "" ? null : row.run_id };
  return {
    event: "model_version.created",
    data: { ...named, ...made, tags: Object.fromEntries(tags), description },
  };
}

const isTrue = (value: string | undefined) => value?.toLowerCase() === "true";

function without(tags: ReadonlyMap<string, string>, keys: readonly string[]): Record<string, string> {
  return Object.fromEntries([...tags].filter(([key]) => !keys.includes(key)));
}

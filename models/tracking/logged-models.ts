import { createHash, randomUUID } from "node:crypto";
import type { z } from "zod";
import { invalid, notFound } from "../../shared/errors.ts";
import { parseJson } from "../../shared/http/index.ts";
import type { Actor } from "../../shared/identity/index.ts";
import {
  checkLength,
  comparisonsOf,
  limits,
  loadPage,
  type OrderItem,
  orderItem,
  truncate,
  withoutTwins,
} from "../../shared/mlflow/index.ts";
import { storeOf, type TrackingContext, transact } from "./context.ts";
import { requireActiveExperiment } from "./experiments.ts";
import { checkLoggedModelName, experimentNumber, randomName } from "./names.ts";
import type { CreateLoggedModel, SearchLoggedModels } from "./schemas.ts";
import type { KeyValue } from "./store/experiments.ts";
import {
  deleteLoggedModelTag as deleteTag,
  findLoggedModel,
  insertLoggedModel,
  type LoadedModel,
  loadLoggedModels,
  loggedModelTarget,
  searchLoggedModelIds,
  updateLoggedModel,
  upsertLoggedModelParams,
  upsertLoggedModelTags,
} from "./store/logged-models.ts";
import type { Store } from "./store/statement.ts";
import type { LoggedModelRow, LoggedModelStatus } from "./store/tables.ts";

/** Lists the registered model versions that a logged model became, as JSON `[{name, version}]`. */
const modelVersionsTag = "mlflow.modelVersions";

/** Starts as LOGGED_MODEL_PENDING, until the client has uploaded its files and finalizes it. */
export async function createLoggedModel(
  context: TrackingContext,
  request: z.infer<typeof CreateLoggedModel>,
  modelId = `m-${randomUUID().replaceAll("-", "")}`,
): Promise<LoadedModel> {
  if (request.name !== undefined && request.name !== "") checkLoggedModelName(request.name);
  const params = request.params.map(checkParam);
  for (const tag of request.tags) checkTag(tag);
  const now = context.clock();
  await transact(context, async (store) => {
    const experiment = await requireActiveExperiment(store, request.experiment_id);
    await insertLoggedModel(store, {
      model_id: modelId,
      experiment_id: experiment.experiment_id,
      name: request.name || randomName(),
      artifact_uri: `${experiment.artifact_location}/models/${modelId}/artifacts`,
      created_ms: now,
      updated_ms: now,
      status: "LOGGED_MODEL_PENDING",
      model_type: request.model_type,
      source_run_id: request.source_run_id,
      lifecycle_stage: "active",
    });
    await upsertLoggedModelParams(store, modelId, params);
    await upsertLoggedModelTags(store, modelId, request.tags);
  });
  return getLoggedModel(context, modelId);
}

/**
 * Makes a logged model under the id that it has on another server; nothing when it is there already.
 *
 * @returns whether the experiment has the model now: false when the id is that of a model of another experiment
 * @throws invalid for an id that no logged model can have, and like `createLoggedModel`.
 */
export async function adoptLoggedModel(
  context: TrackingContext,
  modelId: string,
  request: z.infer<typeof CreateLoggedModel>,
): Promise<boolean> {
  if (!/^m-[0-9a-f]{32}$/.test(modelId)) {
    throw invalid(`"${modelId}" is no logged model's id: m- and 32 hexadecimal digits are.`);
  }
  const found = await findLoggedModel(storeOf(context), modelId);
  if (found !== undefined) return String(found.experiment_id) === request.experiment_id;
  await createLoggedModel(context, request, modelId);
  return true;
}

/** @throws notFound, also for a deleted one unless they are allowed. */
export async function getLoggedModel(
  context: TrackingContext,
  modelId: string,
  options: { readonly allowDeleted?: boolean } = {},
): Promise<LoadedModel> {
  const [model] = await loadLoggedModels(storeOf(context), [modelId]);
  if (model === undefined || (model.lifecycle_stage === "deleted" && options.allowDeleted !== true)) {
    throw noModel(modelId);
  }
  return model;
}

/** @throws notFound. */
export async function requireLoggedModel(store: Store, modelId: string): Promise<LoggedModelRow> {
  const model = await findLoggedModel(store, modelId);
  if (model === undefined || model.lifecycle_stage === "deleted") throw noModel(modelId);
  return model;
}

/** @throws notFound. */
export async function finalizeLoggedModel(
  context: TrackingContext,
  modelId: string,
  status: LoggedModelStatus,
): Promise<LoadedModel> {
  await change(context, modelId, { status });
  return getLoggedModel(context, modelId);
}

/** @throws notFound. */
export async function deleteLoggedModel(
  context: TrackingContext,
  modelId: string,
  actor: Actor,
): Promise<void> {
  await change(context, modelId, { lifecycle_stage: "deleted" });
  await context.audit.record({ actor, action: "logged-model.delete", subject: `logged-model/${modelId}` });
}

async function change(
  context: TrackingContext,
  modelId: string,
  values: Partial<LoggedModelRow>,
): Promise<void> {
  await transact(context, async (store) => {
    await requireLoggedModel(store, modelId);
    await updateLoggedModel(store, modelId, { ...values, updated_ms: context.clock() });
  });
}

/** @throws notFound. */
export async function logLoggedModelParams(
  context: TrackingContext,
  modelId: string,
  params: readonly KeyValue[],
): Promise<void> {
  const checked = params.map(checkParam);
  await transact(context, async (store) => {
    await requireLoggedModel(store, modelId);
    await upsertLoggedModelParams(store, modelId, checked);
  });
}

/** @throws notFound. */
export async function setLoggedModelTags(
  context: TrackingContext,
  modelId: string,
  tags: readonly KeyValue[],
): Promise<void> {
  for (const tag of tags) checkTag(tag);
  await transact(context, async (store) => {
    await requireLoggedModel(store, modelId);
    await upsertLoggedModelTags(store, modelId, tags);
  });
}

/** @throws notFound when there is no such model or tag. */
export async function deleteLoggedModelTag(
  context: TrackingContext,
  modelId: string,
  key: string,
): Promise<void> {
  await transact(context, async (store) => {
    await requireLoggedModel(store, modelId);
    if (!(await deleteTag(store, modelId, key))) {
      throw notFound(`No tag with key '${key}' found for model with ID '${modelId}'.`);
    }
  });
}

/** Adds a version to the tag that lists them, unless it stands there. @throws notFound. */
export async function noteModelVersion(
  context: TrackingContext,
  modelId: string,
  name: string,
  version: number,
): Promise<void> {
  const model = await getLoggedModel(context, modelId);
  const before = model.tags.find(({ key }) => key === modelVersionsTag)?.value;
  const versions = before === undefined ? [] : parseList(before);
  const noted = versions.some(
    (entry) =>
      typeof entry === "object" &&
      entry !== null &&
      "name" in entry &&
      "version" in entry &&
      entry.name === name &&
      String(entry.version) === String(version),
  );
  if (noted) return;
  const value = JSON.stringify([...versions, { name, version }]);
  await setLoggedModelTags(context, modelId, [{ key: modelVersionsTag, value }]);
}

/** The tag is the client's to write: what is no list counts as none. */
function parseList(text: string): unknown[] {
  try {
    const value = parseJson(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

export async function searchLoggedModels(
  context: TrackingContext,
  request: z.infer<typeof SearchLoggedModels>,
): Promise<{ readonly models: readonly LoadedModel[]; readonly nextPageToken?: string }> {
  const comparisons = comparisonsOf(request.filter, loggedModelTarget);
  const order = orderFrom(request.order_by);
  const experimentIds = request.experiment_ids.map(experimentNumber);
  if (experimentIds.length === 0) return { models: [] };
  const store = storeOf(context);
  const page = await searchLoggedModelIds(store, {
    experimentIds,
    comparisons,
    datasets: request.datasets.map(({ dataset_name, dataset_digest }) => ({
      name: dataset_name,
      digest: dataset_digest,
    })),
    order,
    limit: request.max_results,
    pageToken: request.page_token,
    // MLflow's own tokens of this search name it too; those of other searches are for their order alone.
    searchName: createHash("sha256")
      .update(JSON.stringify([request.experiment_ids, request.filter, request.datasets, request.order_by]))
      .digest("base64url")
      .slice(0, 16),
  });
  const { rows, ...rest } = await loadPage(page, (ids) => loadLoggedModels(store, ids.map(String)));
  return { models: rows, ...rest };
}

function orderFrom(items: z.infer<typeof SearchLoggedModels>["order_by"]): OrderItem[] {
  const order = items.map((item) => {
    const [, prefix, key = ""] = /^(?:(\w+)\.)?(.+)$/s.exec(item.field_name) ?? [];
    const plainKey = key.replace(/^([`"])(.+)\1$/, "$2");
    const parsed = orderItem(item.field_name, prefix, plainKey, item.ascending, loggedModelTarget);
    if (parsed.entity !== "attribute" && parsed.entity !== "metric") {
      throw invalid(
        `Invalid order by field name: ${item.field_name}. Only attributes and metrics are supported.`,
      );
    }
    const { dataset_name: name, dataset_digest: digest } = item;
    if (parsed.entity !== "metric" || (name === undefined && digest === undefined)) return parsed;
    const dataset = { ...(name === undefined ? {} : { name }), ...(digest === undefined ? {} : { digest }) };
    return { ...parsed, dataset };
  });
  const names = items.map(({ field_name }) => field_name);
  const created = order.some((item) => item.entity === "attribute" && item.attribute.sql === "l.created_ms");
  if (!created)
    order.push(orderItem("creation_timestamp", undefined, "creation_timestamp", false, loggedModelTarget));
  return withoutTwins(order, names);
}

function checkParam({ key, value }: KeyValue): KeyValue {
  checkLength(key, limits.key, "key");
  return { key, value: truncate(value, limits.paramValue) };
}

function checkTag({ key, value }: KeyValue): void {
  checkLength(key, limits.key, "key");
  checkLength(value, limits.registryTagValue, "value");
}

function noModel(modelId: string) {
  return notFound(`Logged model with ID '${modelId}' not found.`);
}

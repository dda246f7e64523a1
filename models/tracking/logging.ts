import { randomUUID } from "node:crypto";
import { invalid, notFound } from "../../shared/errors.ts";
import { parseJson } from "../../shared/http/index.ts";
import { checkKey, checkLength, invalidValue, limits, truncate } from "../../shared/mlflow/index.ts";
import { storeOf, type TrackingContext, transact } from "./context.ts";
import { checkRunId, checkTag, runNameTag } from "./names.ts";
import { noRun, notActive, requireActiveRun } from "./runs.ts";
import type { DatasetInput, MetricFields } from "./schemas.ts";
import type { KeyValue } from "./store/experiments.ts";
import { insertLoggedModelMetrics, type LoggedModelMetricRow } from "./store/logged-models.ts";
import {
  findTag,
  type InputRow,
  insertInputs,
  insertMetricAtOnce,
  insertMetrics,
  insertParams,
  insertRunModels,
  deleteTag as removeTag,
  upsertTags,
} from "./store/run-data.ts";
import { updateRun } from "./store/runs.ts";
import type { Store } from "./store/statement.ts";
import type { MetricRow } from "./store/tables.ts";

const datasetContextTag = "mlflow.data.context";
const loggedModelsTag = "mlflow.log-model.history";

/** @throws notFound; invalid for a deleted run or a bad key. */
export async function logMetric(
  context: TrackingContext,
  runId: string,
  metric: MetricFields,
): Promise<void> {
  const row = metricRow(metric, "");
  if (context.database.dialect === "postgres" && !belongsToModel(metric)) {
    const stage = await insertMetricAtOnce(storeOf(context), runId, row);
    if (stage === undefined) throw noRun(runId);
    if (stage !== "active") throw notActive(runId, stage);
    return;
  }
  await transact(context, async (store) => {
    await requireActiveRun(store, runId);
    await insertMetrics(store, runId, [row]);
    await insertModelMetrics(store, runId, [metric], [row]);
  });
}

/** @throws notFound; invalid for a deleted run, a bad key, or another value than the one already logged. */
export async function logParam(context: TrackingContext, runId: string, param: KeyValue): Promise<void> {
  const checked = checkParam(param, "key");
  await transact(context, async (store) => {
    await requireActiveRun(store, runId);
    await writeParams(store, runId, [checked]);
  });
}

/** Writes all of it, or nothing. @throws like the single calls; invalid past MLflow's limits on one batch. */
export async function logBatch(
  context: TrackingContext,
  runId: string,
  batch: {
    readonly metrics: readonly MetricFields[];
    readonly params: readonly KeyValue[];
    readonly tags: readonly KeyValue[];
  },
): Promise<void> {
  checkRunId(runId);
  const metrics = batch.metrics.map((metric, index) => metricRow(metric, `metrics[${index}].`));
  const params = batch.params.map((param, index) => checkParam(param, `params[${index}].key`));
  const tags = batch.tags.map((tag, index) => checkTag(tag, `tags[${index}]`));
  checkCount("metrics", limits.metricsPerBatch, metrics.length);
  checkCount("params", limits.paramsPerBatch, params.length);
  checkCount("tags", limits.tagsPerBatch, tags.length);
  checkCount(
    "metrics, params, and tags",
    limits.entitiesPerBatch,
    metrics.length + params.length + tags.length,
  );
  refuseTwins(params);
  await transact(context, async (store) => {
    await requireActiveRun(store, runId);
    await writeParams(store, runId, params);
    await insertMetrics(store, runId, metrics);
    await insertModelMetrics(store, runId, batch.metrics, metrics);
    await writeTags(store, runId, tags);
  });
}

/** @throws notFound; invalid for a deleted run or a bad key. */
export async function setTag(context: TrackingContext, runId: string, tag: KeyValue): Promise<void> {
  const checked = checkTag(tag, "");
  await transact(context, async (store) => {
    await requireActiveRun(store, runId);
    await writeTags(store, runId, [checked]);
  });
}

/** @throws notFound when there is no such run or tag; invalid for a deleted run. */
export async function deleteTag(context: TrackingContext, runId: string, key: string): Promise<void> {
  await transact(context, async (store) => {
    await requireActiveRun(store, runId);
    if (!(await removeTag(store, runId, key)))
      throw notFound(`No tag with name: ${key} in run with id ${runId}`);
  });
}

/** @throws notFound; invalid for a deleted run or past the limits of a data set. */
export async function logInputs(
  context: TrackingContext,
  runId: string,
  datasets: readonly DatasetInput[],
  modelIds: readonly string[],
): Promise<void> {
  checkRunId(runId);
  for (const [index, input] of datasets.entries()) checkDataset(input, `datasets[${index}]`);
  await transact(context, async (store) => {
    const run = await requireActiveRun(store, runId);
    await insertInputs(
      store,
      runId,
      datasets.map((input) => inputRow(input, run.experiment_id)),
    );
    await insertRunModels(
      store,
      runId,
      "input",
      modelIds.map((modelId) => ({ modelId, step: 0 })),
    );
  });
}

/** @throws notFound; invalid for a deleted run. */
export async function logOutputs(
  context: TrackingContext,
  runId: string,
  models: readonly { readonly modelId: string; readonly step: number }[],
): Promise<void> {
  await transact(context, async (store) => {
    await requireActiveRun(store, runId);
    await insertRunModels(store, runId, "output", models);
  });
}

/** What clients of MLflow 2 say after log_model: appended to the run's history of models. @throws invalid. */
export async function recordModel(context: TrackingContext, runId: string, modelJson: string): Promise<void> {
  const model = parseModel(modelJson);
  await transact(context, async (store) => {
    await requireActiveRun(store, runId);
    const before = await findTag(store, runId, loggedModelsTag);
    const history = before === undefined ? [] : parseList(before);
    const value = JSON.stringify([...history, model]);
    // A history that was cut would be no JSON any more.
    if (value.length <= limits.tagValue) await upsertTags(store, runId, [{ key: loggedModelsTag, value }]);
  });
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

function parseModel(text: string): Record<string, unknown> {
  let model: unknown;
  try {
    model = parseJson(text);
  } catch {
    model = undefined;
  }
  if (typeof model !== "object" || model === null || Array.isArray(model)) {
    throw invalid(`Malformed model info. \n ${text.slice(0, 1000)} \n is not a valid JSON object.`);
  }
  const missing = ["artifact_path", "flavors", "utc_time_created", "run_id"].filter(
    (field) => !(field in model),
  );
  if (missing.length > 0) throw invalid(`Model json is missing mandatory fields: ${missing.join(", ")}`);
  return model as Record<string, unknown>;
}

async function writeParams(store: Store, runId: string, params: readonly KeyValue[]): Promise<void> {
  const standing = await insertParams(store, runId, params);
  for (const { key, value } of params) {
    const old = standing.get(key);
    if (old === value) continue;
    throw invalid(
      `Changing param values is not allowed. Param with key='${key}' was already logged with value='${old}' ` +
        `for run ID='${runId}'. Attempted logging new value '${value}'.`,
    );
  }
}

async function writeTags(store: Store, runId: string, tags: readonly KeyValue[]): Promise<void> {
  // As with updating a run, an empty name changes nothing.
  const kept = tags.filter(({ key, value }) => key !== runNameTag || value !== "");
  await upsertTags(store, runId, kept);
  const name = kept.findLast(({ key }) => key === runNameTag)?.value;
  if (name === undefined) return;
  checkLength(name, limits.runName, runNameTag);
  await updateRun(store, runId, { name });
}

const belongsToModel = (metric: MetricFields) => metric.model_id !== undefined && metric.model_id !== "";

async function insertModelMetrics(
  store: Store,
  runId: string,
  metrics: readonly MetricFields[],
  rows: readonly MetricRow[],
): Promise<void> {
  const modelRows = metrics.flatMap((metric, index): LoggedModelMetricRow[] => {
    const row = rows[index];
    if (row === undefined || metric.model_id === undefined || metric.model_id === "") return [];
    const named = metric.key + (metric.dataset_name ?? "") + (metric.dataset_digest ?? "");
    if (Buffer.byteLength(named) > limits.metricKeyBytes) {
      throw invalid(
        `The names of metric '${metric.key.slice(0, 50)}' and of its dataset have more than ${limits.metricKeyBytes} bytes together; shorter ones are right.`,
      );
    }
    return [
      {
        ...row,
        model_id: metric.model_id,
        run_id: runId,
        dataset_name: metric.dataset_name ?? "",
        dataset_digest: metric.dataset_digest ?? "",
      },
    ];
  });
  await insertLoggedModelMetrics(store, modelRows);
}

/** @param prefix of the field in messages: `metrics[3].` */
function metricRow(metric: MetricFields, prefix: string): MetricRow {
  const { key, value, timestamp, step } = metric;
  checkKey(key, `${prefix}name`, "Metric name");
  if (timestamp < 0) {
    throw invalidValue(
      `${prefix}timestamp`,
      timestamp,
      `metric '${key}' (value=${value}). Timestamp must be a nonnegative long (64-bit integer)`,
    );
  }
  const isNan = Number.isNaN(value);
  const finite = Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE);
  return { key, value: isNan ? 0 : finite, is_nan: isNan ? 1 : 0, timestamp, step };
}

function checkParam({ key, value }: KeyValue, field: string): KeyValue {
  checkKey(key, field, "Param key");
  return { key, value: truncate(value, limits.paramValue) };
}

function checkCount(what: string, limit: number, count: number): void {
  if (count <= limit) return;
  throw invalid(
    `A batch logging request can contain at most ${limit} ${what}. Got ${count} ${what}. ` +
      `Please split up ${what} across multiple requests and try again.`,
  );
}

function refuseTwins(params: readonly KeyValue[]): void {
  const seen = new Set<string>();
  const twins = params.map(({ key }) => key).filter((key) => seen.size === seen.add(key).size);
  if (twins.length === 0) return;
  throw invalid(
    `Duplicate parameter keys have been submitted: ${JSON.stringify(twins)}. ` +
      "Please ensure the request contains only one param value per param key.",
  );
}

function checkDataset({ dataset, tags }: DatasetInput, field: string): void {
  checkLength(dataset.name, limits.dataset.name, `${field}.dataset.name`);
  checkLength(dataset.digest, limits.dataset.digest, `${field}.dataset.digest`);
  checkLength(dataset.source, limits.dataset.source, `${field}.dataset.source`);
  checkLength(dataset.schema ?? "", limits.dataset.schema, `${field}.dataset.schema`);
  checkLength(dataset.profile ?? "", limits.dataset.profile, `${field}.dataset.profile`);
  for (const [index, { key, value }] of tags.entries()) {
    checkLength(key, limits.inputTag.key, `${field}.tags[${index}].key`);
    checkLength(value, limits.inputTag.value, `${field}.tags[${index}].value`);
  }
}

function inputRow({ dataset, tags }: DatasetInput, experimentId: number): InputRow {
  return {
    dataset: {
      dataset_id: randomUUID().replaceAll("-", ""),
      experiment_id: experimentId,
      name: dataset.name,
      digest: dataset.digest,
      source_type: dataset.source_type,
      source: dataset.source,
      schema: dataset.schema ?? null,
      profile: dataset.profile ?? null,
    },
    tags,
    context: tags.findLast(({ key }) => key === datasetContextTag)?.value ?? null,
  };
}

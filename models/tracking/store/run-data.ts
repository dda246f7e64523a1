import type { KeyValue } from "./experiments.ts";
import { insertRows, run, type Store } from "./statement.ts";
import type { DatasetRow, LifecycleStage, MetricRow } from "./tables.ts";

export async function insertMetrics(
  store: Store,
  runId: string,
  metrics: readonly MetricRow[],
): Promise<void> {
  await insertRows(
    store,
    "tracking_metric (run_id, key, timestamp, step, value, is_nan)",
    metrics.map((metric) => metricValues(runId, metric)),
    "on conflict do nothing",
  );
  // In the order of their keys: two batches that lock the same rows then cannot block each other.
  const latest = latestOf(metrics).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  await insertRows(
    store,
    "tracking_latest_metric (run_id, key, timestamp, step, value, is_nan)",
    latest.map((metric) => metricValues(runId, metric)),
    becomesLatest,
  );
}

const metricValues = (runId: string, { key, timestamp, step, value, is_nan }: MetricRow) => [
  runId,
  key,
  timestamp,
  step,
  value,
  is_nan,
];

/** Which one is the latest is decided by step, then time, then value, not by the order of arrival. */
const becomesLatest = `on conflict (run_id, key) do update set
  timestamp = excluded.timestamp, step = excluded.step, value = excluded.value, is_nan = excluded.is_nan
  where (excluded.step, excluded.timestamp, excluded.value) >
    (tracking_latest_metric.step, tracking_latest_metric.timestamp, tracking_latest_metric.value)`;

function latestOf(metrics: readonly MetricRow[]): MetricRow[] {
  const latest = new Map<string, MetricRow>();
  for (const metric of metrics) {
    const before = latest.get(metric.key);
    if (before === undefined || isLater(metric, before)) latest.set(metric.key, metric);
  }
  return [...latest.values()];
}

const isLater = (a: MetricRow, b: MetricRow) =>
  a.step !== b.step
    ? a.step > b.step
    : a.timestamp !== b.timestamp
      ? a.timestamp > b.timestamp
      : a.value > b.value;

/**
 * Writes one metric of an active run in a single statement: on PostgreSQL a transaction of three would cost five round
 * trips. @returns the run's stage; nothing is written unless it is active.
 */
export async function insertMetricAtOnce(
  store: Store,
  runId: string,
  metric: MetricRow,
): Promise<LifecycleStage | undefined> {
  const rows = await run<{ lifecycle_stage: LifecycleStage }>(
    store,
    `with run as (select lifecycle_stage from tracking_run where run_id = ?),
      new as (select ?::text as run_id, ?::text as key, ?::bigint as timestamp, ?::bigint as step,
        ?::double precision as value, ?::integer as is_nan from run where lifecycle_stage = 'active'),
      history as (insert into tracking_metric (run_id, key, timestamp, step, value, is_nan)
        select * from new on conflict do nothing),
      latest as (insert into tracking_latest_metric (run_id, key, timestamp, step, value, is_nan)
        select * from new ${becomesLatest})
    select lifecycle_stage from run`,
    [runId, ...metricValues(runId, metric)],
  );
  return rows[0]?.lifecycle_stage;
}

/** @returns the parameters of these keys as they stand now: those that were there before keep their value. */
export async function insertParams(
  store: Store,
  runId: string,
  params: readonly KeyValue[],
): Promise<ReadonlyMap<string, string>> {
  if (params.length === 0) return new Map();
  const sorted = params.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  await insertRows(
    store,
    "tracking_param (run_id, key, value)",
    sorted.map(({ key, value }) => [runId, key, value]),
    "on conflict do nothing",
  );
  const rows = await run<KeyValue>(
    store,
    `select key, value from tracking_param where run_id = ? and key in (${params.map(() => "?").join(", ")})`,
    [runId, ...params.map(({ key }) => key)],
  );
  return new Map(rows.map(({ key, value }) => [key, value]));
}

/** The last of several tags with the same key counts. */
export async function upsertTags(store: Store, runId: string, tags: readonly KeyValue[]): Promise<void> {
  const last = [...new Map(tags.map(({ key, value }) => [key, value]))].toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  );
  await insertRows(
    store,
    "tracking_tag (run_id, key, value)",
    last.map(([key, value]) => [runId, key, value]),
    "on conflict (run_id, key) do update set value = excluded.value",
  );
}

/** @returns whether there was one. */
export async function deleteTag(store: Store, runId: string, key: string): Promise<boolean> {
  const rows = await run(store, "delete from tracking_tag where run_id = ? and key = ? returning key", [
    runId,
    key,
  ]);
  return rows.length > 0;
}

export async function findTag(store: Store, runId: string, key: string): Promise<string | undefined> {
  const rows = await run<{ value: string }>(
    store,
    "select value from tracking_tag where run_id = ? and key = ?",
    [runId, key],
  );
  return rows[0]?.value;
}

export interface InputRow {
  readonly dataset: DatasetRow;
  readonly tags: readonly KeyValue[];
  readonly context: string | null;
}

/** Names data sets as inputs of a run. One that the experiment knows by name and digest is used again. */
export async function insertInputs(store: Store, runId: string, inputs: readonly InputRow[]): Promise<void> {
  const [{ next } = { next: 0 }] = await run<{ next: number }>(
    store,
    "select coalesce(max(position), -1) + 1 as next from tracking_run_input where run_id = ?",
    [runId],
  );
  for (const [index, { dataset, tags, context }] of inputs.entries()) {
    await insertRows(
      store,
      "tracking_dataset (dataset_id, experiment_id, name, digest, source_type, source, schema, profile)",
      [
        [
          dataset.dataset_id,
          dataset.experiment_id,
          dataset.name,
          dataset.digest,
          dataset.source_type,
          dataset.source,
          dataset.schema,
          dataset.profile,
        ],
      ],
      "on conflict do nothing",
    );
    await run(
      store,
      `insert into tracking_run_input (run_id, dataset_id, tags, context, position)
        select cast(? as text), dataset_id, cast(? as text), cast(? as text), cast(? as integer) from tracking_dataset where experiment_id = ? and name = ? and digest = ?
        on conflict do nothing`,
      [
        runId,
        JSON.stringify(tags),
        context,
        next + index,
        dataset.experiment_id,
        dataset.name,
        dataset.digest,
      ],
    );
  }
}

export async function insertRunModels(
  store: Store,
  runId: string,
  direction: "input" | "output",
  models: readonly { readonly modelId: string; readonly step: number }[],
): Promise<void> {
  await insertRows(
    store,
    "tracking_run_model (run_id, direction, model_id, step)",
    models.map(({ modelId, step }) => [runId, direction, modelId, step]),
    "on conflict do nothing",
  );
}

export interface DatasetSummaryRow {
  readonly experiment_id: number;
  readonly name: string;
  readonly digest: string;
  readonly context: string | null;
}

/** The data sets that active runs of these experiments used, and what for. */
export function selectDatasetSummaries(
  store: Store,
  experimentIds: readonly number[],
  limit: number,
): Promise<readonly DatasetSummaryRow[]> {
  return run<DatasetSummaryRow>(
    store,
    `select distinct d.experiment_id, d.name, d.digest, i.context
      from tracking_dataset d
      join tracking_run_input i on i.dataset_id = d.dataset_id
      join tracking_run r on r.run_id = i.run_id and r.lifecycle_stage = 'active'
      where d.experiment_id in (${experimentIds.map(() => "?").join(", ")})
      order by d.experiment_id, d.name, d.digest, i.context limit ?`,
    [...experimentIds, limit],
  );
}

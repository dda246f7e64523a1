import { type RawBuilder, sql } from "kysely";
import {
  type Comparison,
  isAnyOf,
  type OrderItem,
  type SearchPage,
  type SearchTarget,
  searchIds,
} from "../../../shared/mlflow/index.ts";
import type { KeyValue } from "./experiments.ts";
import { insertRows, run, type Store } from "./statement.ts";
import type { LoggedModelRow, MetricRow } from "./tables.ts";

const created = { sql: "l.created_ms", kind: "integer", isFilterable: true } as const;
const updated = { sql: "l.updated_ms", kind: "integer", isFilterable: true } as const;
const text = (column: string) =>
  ({ sql: `l.${column}`, kind: "text", isFilterable: true, takesLists: true }) as const;

export const loggedModelTarget: SearchTarget = {
  from: "tracking_logged_model l",
  id: { sql: "l.model_id", kind: "text" },
  attributes: {
    name: text("name"),
    model_id: text("model_id"),
    model_type: text("model_type"),
    status: text("status"),
    source_run_id: text("source_run_id"),
    artifact_location: text("artifact_uri"),
    experiment_id: { sql: "l.experiment_id", kind: "integer", isFilterable: false },
    creation_timestamp: created,
    creation_timestamp_ms: created,
    creation_time: created,
    last_updated_timestamp: updated,
    last_updated_timestamp_ms: updated,
  },
  maps: {
    metric: {
      table: "tracking_logged_model_metric",
      owner: "m.model_id = l.model_id",
      latestOf: "m.model_id",
    },
    param: { table: "tracking_logged_model_param", owner: "m.model_id = l.model_id" },
    tag: { table: "tracking_logged_model_tag", owner: "m.model_id = l.model_id" },
  },
  prefixes: {
    attributes: "attribute",
    attribute: "attribute",
    metrics: "metric",
    metric: "metric",
    params: "param",
    param: "param",
    tags: "tag",
    tag: "tag",
  },
};

export type LoggedModelMetricRow = MetricRow & {
  readonly model_id: string;
  readonly run_id: string;
  readonly dataset_name: string;
  readonly dataset_digest: string;
};

export interface LoadedModel extends LoggedModelRow {
  readonly params: readonly KeyValue[];
  readonly tags: readonly KeyValue[];
  readonly metrics: readonly LoggedModelMetricRow[];
}

export async function insertLoggedModel({ db }: Store, row: LoggedModelRow): Promise<void> {
  await db.insertInto("tracking_logged_model").values(row).execute();
}

export function findLoggedModel({ db }: Store, modelId: string): Promise<LoggedModelRow | undefined> {
  return db
    .selectFrom("tracking_logged_model")
    .selectAll()
    .where("model_id", "=", modelId)
    .executeTakeFirst();
}

export async function updateLoggedModel(
  { db }: Store,
  modelId: string,
  change: Partial<LoggedModelRow>,
): Promise<void> {
  await db.updateTable("tracking_logged_model").set(change).where("model_id", "=", modelId).execute();
}

/** In the order of the ids that are asked for; unknown ones are left out. */
export async function loadLoggedModels(store: Store, modelIds: readonly string[]): Promise<LoadedModel[]> {
  if (modelIds.length === 0) return [];
  const among =
    store.dialect === "sqlite"
      ? "model_id in (select value from json_each(?))"
      : "model_id in (select value from json_array_elements_text(?::json))";
  const parameters = [JSON.stringify(modelIds)];
  const select = <Row>(table: string, order: string) =>
    run<Row & { model_id: string }>(store, `select * from ${table} where ${among} ${order}`, parameters);
  const models = await select<LoggedModelRow>("tracking_logged_model", "");
  const params = grouped(await select<KeyValue>("tracking_logged_model_param", "order by model_id, key"));
  const tags = grouped(await select<KeyValue>("tracking_logged_model_tag", "order by model_id, key"));
  const metrics = grouped(
    await select<LoggedModelMetricRow>(
      "tracking_logged_model_metric",
      "order by model_id, key, timestamp, step, run_id",
    ),
  );
  const byId = new Map(models.map((row) => [row.model_id, row]));
  return modelIds.flatMap((id) => {
    const row = byId.get(id);
    if (row === undefined) return [];
    return [
      { ...row, params: params.get(id) ?? [], tags: tags.get(id) ?? [], metrics: metrics.get(id) ?? [] },
    ];
  });
}

const grouped = <Row extends { model_id: string }>(rows: readonly Row[]) =>
  Map.groupBy(rows, (row) => row.model_id);

export async function upsertLoggedModelParams(
  store: Store,
  modelId: string,
  params: readonly KeyValue[],
): Promise<void> {
  await upsert(store, "tracking_logged_model_param", modelId, params);
}

export async function upsertLoggedModelTags(
  store: Store,
  modelId: string,
  tags: readonly KeyValue[],
): Promise<void> {
  await upsert(store, "tracking_logged_model_tag", modelId, tags);
}

async function upsert(
  store: Store,
  table: string,
  modelId: string,
  pairs: readonly KeyValue[],
): Promise<void> {
  const last = new Map(pairs.map(({ key, value }) => [key, value]));
  await insertRows(
    store,
    `${table} (model_id, key, value)`,
    [...last].map(([key, value]) => [modelId, key, value]),
    "on conflict (model_id, key) do update set value = excluded.value",
  );
}

/** @returns whether there was one. */
export async function deleteLoggedModelTag(store: Store, modelId: string, key: string): Promise<boolean> {
  const rows = await run(
    store,
    "delete from tracking_logged_model_tag where model_id = ? and key = ? returning key",
    [modelId, key],
  );
  return rows.length > 0;
}

export async function insertLoggedModelMetrics(
  store: Store,
  metrics: readonly LoggedModelMetricRow[],
): Promise<void> {
  await insertRows(
    store,
    `tracking_logged_model_metric
      (model_id, key, timestamp, step, run_id, dataset_name, dataset_digest, value, is_nan)`,
    metrics.map((metric) => [
      metric.model_id,
      metric.key,
      metric.timestamp,
      metric.step,
      metric.run_id,
      metric.dataset_name,
      metric.dataset_digest,
      metric.value,
      metric.is_nan,
    ]),
    "on conflict do nothing",
  );
}

export function searchLoggedModelIds(
  { db, dialect }: Store,
  search: {
    readonly experimentIds: readonly number[];
    readonly comparisons: readonly Comparison[];
    /** Models with a metric on one of these data sets; metric comparisons look only at those. */
    readonly datasets: readonly { readonly name: string; readonly digest?: string | undefined }[];
    readonly order: readonly OrderItem[];
    readonly limit: number;
    readonly pageToken: string | undefined;
    readonly searchName: string;
  },
): Promise<SearchPage> {
  const { experimentIds, datasets, ...rest } = search;
  const onDataset = datasets.map(({ name, digest }) =>
    digest === undefined
      ? sql`m.dataset_name = ${name}`
      : sql`(m.dataset_name = ${name} and m.dataset_digest = ${digest})`,
  );
  const metricCondition = onDataset.length === 0 ? undefined : sql`(${sql.join(onDataset, sql` or `)})`;
  const where: RawBuilder<unknown>[] = [
    isAnyOf(dialect, sql`l.experiment_id`, experimentIds, "bigint"),
    sql`l.lifecycle_stage = 'active'`,
  ];
  const comparesMetrics = rest.comparisons.some(({ entity }) => entity === "metric");
  if (metricCondition !== undefined && !comparesMetrics) {
    where.push(
      sql`exists (select 1 from tracking_logged_model_metric m where m.model_id = l.model_id and ${metricCondition})`,
    );
  }
  return searchIds(db, {
    ...rest,
    target: loggedModelTarget,
    dialect,
    where,
    ...(metricCondition === undefined ? {} : { metricCondition }),
  });
}

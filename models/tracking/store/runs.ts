import { sql } from "kysely";
import {
  type Comparison,
  isAnyOf,
  type OrderItem,
  type SearchPage,
  type SearchTarget,
  searchIds,
} from "../../../shared/mlflow/index.ts";
import type { Store } from "./statement.ts";
import type { LifecycleStage, RunRow } from "./tables.ts";

const startTime = { sql: "r.start_ms", kind: "integer", isFilterable: true } as const;
const runName = { sql: "r.name", kind: "text", isFilterable: true } as const;

export const runTarget: SearchTarget = {
  from: "tracking_run r",
  id: { sql: "r.run_id", kind: "text" },
  attributes: {
    status: { sql: "r.status", kind: "text", isFilterable: true },
    run_name: runName,
    "run name": runName,
    "Run name": runName,
    "Run Name": runName,
    user_id: { sql: "r.user_id", kind: "text", isFilterable: true },
    artifact_uri: { sql: "r.artifact_uri", kind: "text", isFilterable: true },
    run_id: { sql: "r.run_id", kind: "text", isFilterable: true, takesLists: true },
    start_time: startTime,
    created: startTime,
    Created: startTime,
    end_time: { sql: "r.end_ms", kind: "integer", isNullable: true, isFilterable: true },
  },
  maps: {
    metric: { table: "tracking_latest_metric", owner: "m.run_id = r.run_id" },
    param: { table: "tracking_param", owner: "m.run_id = r.run_id" },
    tag: { table: "tracking_tag", owner: "m.run_id = r.run_id" },
  },
  datasets: true,
  prefixes: {
    attribute: "attribute",
    attributes: "attribute",
    attr: "attribute",
    run: "attribute",
    metric: "metric",
    metrics: "metric",
    param: "param",
    params: "param",
    parameter: "param",
    parameters: "param",
    tag: "tag",
    tags: "tag",
    dataset: "dataset",
    datasets: "dataset",
  },
};

export async function insertRun({ db }: Store, row: RunRow): Promise<void> {
  await db.insertInto("tracking_run").values(row).execute();
}

export function findRun({ db }: Store, runId: string): Promise<RunRow | undefined> {
  return db.selectFrom("tracking_run").selectAll().where("run_id", "=", runId).executeTakeFirst();
}

/** Of these runs those that are there and not deleted. */
export async function selectActiveRunIds(
  { db, dialect }: Store,
  runIds: readonly string[],
): Promise<string[]> {
  const rows = await db
    .selectFrom("tracking_run")
    .select("run_id")
    .where(isAnyOf(dialect, sql.ref("run_id"), runIds))
    .where("lifecycle_stage", "=", "active")
    .execute();
  return rows.map((row) => row.run_id);
}

export async function updateRun({ db }: Store, runId: string, change: Partial<RunRow>): Promise<void> {
  if (Object.keys(change).length === 0) return;
  await db.updateTable("tracking_run").set(change).where("run_id", "=", runId).execute();
}

/** Marks all runs of an experiment. */
export async function changeRunsOf(
  { db }: Store,
  experimentId: number,
  change: Pick<RunRow, "lifecycle_stage" | "deleted_ms">,
): Promise<void> {
  await db.updateTable("tracking_run").set(change).where("experiment_id", "=", experimentId).execute();
}

export function searchRunIds(
  { db, dialect }: Store,
  search: {
    readonly experimentIds: readonly number[];
    readonly stages: readonly LifecycleStage[];
    readonly comparisons: readonly Comparison[];
    readonly order: readonly OrderItem[];
    readonly limit: number;
    readonly pageToken: string | undefined;
  },
): Promise<SearchPage> {
  const { experimentIds, stages, ...rest } = search;
  const [only] = experimentIds;
  return searchIds(db, {
    ...rest,
    target: runTarget,
    dialect,
    where: [
      experimentIds.length === 1 && only !== undefined
        ? sql`r.experiment_id = ${only}`
        : isAnyOf(dialect, sql`r.experiment_id`, experimentIds, "bigint"),
      sql`r.lifecycle_stage in (${sql.join(stages)})`,
    ],
  });
}

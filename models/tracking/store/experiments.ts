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
import type { ExperimentRow, LifecycleStage } from "./tables.ts";

export interface Experiment {
  readonly experiment_id: number;
  readonly name: string;
  readonly artifact_location: string;
  readonly lifecycle_stage: LifecycleStage;
  readonly created_ms: number;
  readonly updated_ms: number;
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

export const experimentTarget: SearchTarget = {
  from: "tracking_experiment e",
  id: { sql: "e.experiment_id", kind: "integer" },
  attributes: {
    name: { sql: "e.name", kind: "text", isFilterable: true },
    creation_time: { sql: "e.created_ms", kind: "integer", isFilterable: true },
    last_update_time: { sql: "e.updated_ms", kind: "integer", isFilterable: true },
    experiment_id: { sql: "e.experiment_id", kind: "integer", isFilterable: false },
  },
  maps: { tag: { table: "tracking_experiment_tag", owner: "m.experiment_id = e.experiment_id" } },
  prefixes: { attribute: "attribute", attributes: "attribute", attr: "attribute", tag: "tag", tags: "tag" },
};

/** Inserts an experiment; without a location it gets one named after its id. @returns undefined when the name is taken. */
export async function insertExperiment(
  { db }: Store,
  row: Omit<ExperimentRow, "experiment_id" | "artifact_location"> & { artifact_location: string | undefined },
): Promise<Experiment | undefined> {
  const inserted = await db
    .insertInto("tracking_experiment")
    .values({ ...row, artifact_location: row.artifact_location ?? "" })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .returningAll()
    .executeTakeFirst();
  if (inserted === undefined || row.artifact_location !== undefined) return inserted;
  return db
    .updateTable("tracking_experiment")
    .set({ artifact_location: `mlflow-artifacts:/${inserted.experiment_id}` })
    .where("experiment_id", "=", inserted.experiment_id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export function findExperiment({ db }: Store, id: number): Promise<Experiment | undefined> {
  return db.selectFrom("tracking_experiment").selectAll().where("experiment_id", "=", id).executeTakeFirst();
}

export function findExperimentByName({ db }: Store, name: string): Promise<Experiment | undefined> {
  return db.selectFrom("tracking_experiment").selectAll().where("name", "=", name).executeTakeFirst();
}

/** In the order of the ids that are asked for. */
export async function loadExperiments(
  { db, dialect }: Store,
  ids: readonly number[],
): Promise<(Experiment & { readonly tags: readonly KeyValue[] })[]> {
  if (ids.length === 0) return [];
  const among = isAnyOf(dialect, sql`experiment_id`, ids, "bigint");
  const rows = await db.selectFrom("tracking_experiment").selectAll().where(among).execute();
  const tags = await db
    .selectFrom("tracking_experiment_tag")
    .selectAll()
    .where(among)
    .orderBy("key")
    .execute();
  const byId = new Map(rows.map((row) => [row.experiment_id, row]));
  const tagsById = Map.groupBy(tags, (tag) => tag.experiment_id);
  return ids.flatMap((id) => {
    const row = byId.get(id);
    return row === undefined ? [] : [{ ...row, tags: tagsById.get(id) ?? [] }];
  });
}

/** @returns whether there is an experiment in that stage. */
export async function changeExperiment(
  { db }: Store,
  id: number,
  from: LifecycleStage,
  change: Partial<Pick<ExperimentRow, "lifecycle_stage" | "name" | "updated_ms">>,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("tracking_experiment")
    .set(change)
    .where("experiment_id", "=", id)
    .where("lifecycle_stage", "=", from)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

export async function setExperimentTags({ db }: Store, id: number, tags: readonly KeyValue[]): Promise<void> {
  if (tags.length === 0) return;
  const last = new Map(tags.map(({ key, value }) => [key, value]));
  await db
    .insertInto("tracking_experiment_tag")
    .values([...last].map(([key, value]) => ({ experiment_id: id, key, value })))
    .onConflict((conflict) =>
      conflict.columns(["experiment_id", "key"]).doUpdateSet((eb) => ({ value: eb.ref("excluded.value") })),
    )
    .execute();
}

/** @returns whether there was one. */
export async function deleteExperimentTag({ db }: Store, id: number, key: string): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom("tracking_experiment_tag")
    .where("experiment_id", "=", id)
    .where("key", "=", key)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

export function searchExperimentIds(
  { db, dialect }: Store,
  search: {
    readonly stages: readonly LifecycleStage[];
    readonly comparisons: readonly Comparison[];
    readonly order: readonly OrderItem[];
    readonly limit: number;
    readonly pageToken: string | undefined;
  },
): Promise<SearchPage> {
  const { stages, ...rest } = search;
  return searchIds(db, {
    ...rest,
    target: experimentTarget,
    dialect,
    where: [sql`e.lifecycle_stage in (${sql.join(stages)})`],
  });
}

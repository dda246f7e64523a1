import { type RawBuilder, sql } from "kysely";
import { isAnyOf } from "../../../shared/mlflow/index.ts";
import type { Store } from "../store/statement.ts";
import type { GarbageRow } from "../store/tables.ts";

/** What may go: deleted before the cutoff itself, or belonging to an experiment that was. */
export interface Scope {
  readonly cutoffMs: number;
  /** Only these experiments; all when not given. */
  readonly experimentIds?: readonly number[] | undefined;
}

export interface Candidate {
  readonly id: string;
  readonly name: string;
  readonly experiment_id: number;
  readonly artifact_uri: string;
}

const tables = {
  run: { name: "tracking_run", id: "run_id", deletedMs: "o.deleted_ms" },
  // A deleted model is not changed any more.
  model: { name: "tracking_logged_model", id: "model_id", deletedMs: "o.updated_ms" },
} as const;
export type OwnerKind = keyof typeof tables;

/** Of a run or model `o` in its experiment `e`. An experiment takes all with it, also a run that was restored alone. */
function isGarbage(kind: OwnerKind, { cutoffMs, experimentIds }: Scope, store: Store): RawBuilder<boolean> {
  const deletedMs = sql.raw(tables[kind].deletedMs);
  const among =
    experimentIds === undefined
      ? sql`1 = 1`
      : isAnyOf(store.dialect, sql`o.experiment_id`, experimentIds, "bigint");
  return sql<boolean>`(${among} and ((o.lifecycle_stage = 'deleted' and ${deletedMs} < ${cutoffMs})
    or (e.lifecycle_stage = 'deleted' and e.updated_ms < ${cutoffMs})))`;
}

function joined(kind: OwnerKind): RawBuilder<unknown> {
  return sql`${sql.table(tables[kind].name)} o join tracking_experiment e on e.experiment_id = o.experiment_id`;
}

/** One page of runs or models that may go, in the order of their ids. */
export async function selectGarbage(
  store: Store,
  kind: OwnerKind,
  scope: Scope,
  page: { readonly after: string; readonly limit: number },
): Promise<Candidate[]> {
  const id = sql.raw(`o.${tables[kind].id}`);
  const { rows } = await sql<Candidate>`
    select ${id} as id, o.name, o.experiment_id, o.artifact_uri
    from ${joined(kind)}
    where ${id} > ${page.after} and ${isGarbage(kind, scope, store)}
    order by ${id} limit ${page.limit}`.execute(store.db);
  return rows;
}

export async function countGarbage(store: Store, kind: OwnerKind, scope: Scope): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from ${joined(kind)} where ${isGarbage(kind, scope, store)}`.execute(store.db);
  return Number(rows[0]?.count ?? 0);
}

/**
 * Takes runs or models out of the world: their own row becomes a row of garbage, which names what is left of them.
 *
 * @param ids candidates; those that were restored since are left alone
 * @returns those that were taken
 */
export async function condemn(
  store: Store,
  kind: OwnerKind,
  scope: Scope,
  ids: readonly string[],
  nowMs: number,
): Promise<Candidate[]> {
  const { db, dialect } = store;
  const id = sql.raw(`o.${tables[kind].id}`);
  // Locked, so that a restoration waits for us or we see it. SQLite has one writer at a time anyway.
  const { rows } = await sql<Candidate>`
    select ${id} as id, o.name, o.experiment_id, o.artifact_uri
    from ${joined(kind)}
    where ${isAnyOf(dialect, sql`${id}`, ids)} and ${isGarbage(kind, scope, store)}
    ${dialect === "postgres" ? sql`for update` : sql``}`.execute(db);
  if (rows.length === 0) return [];
  await db
    .insertInto("tracking_garbage")
    .values(
      rows.map((row) => ({
        kind,
        id: row.id,
        experiment_id: row.experiment_id,
        artifact_uri: row.artifact_uri,
        condemned_ms: nowMs,
      })),
    )
    .onConflict((conflict) => conflict.columns(["kind", "id"]).doNothing())
    .execute();
  const taken = isAnyOf(
    dialect,
    sql.ref(tables[kind].id),
    rows.map((row) => row.id),
  );
  await sql`delete from ${sql.table(tables[kind].name)} where ${taken}`.execute(db);
  return rows;
}

/** Deleted experiments that may go, in the order of their ids; not the default one, which is always there. */
export async function selectGarbageExperiments(
  store: Store,
  { cutoffMs, experimentIds }: Scope,
  page: { readonly after: number; readonly limit: number },
): Promise<{ experiment_id: number; name: string }[]> {
  let query = store.db
    .selectFrom("tracking_experiment")
    .select(["experiment_id", "name"])
    .where("lifecycle_stage", "=", "deleted")
    .where("updated_ms", "<", cutoffMs)
    .where("experiment_id", ">", page.after)
    .orderBy("experiment_id")
    .limit(page.limit);
  if (experimentIds !== undefined) {
    query = query.where(isAnyOf(store.dialect, sql`experiment_id`, experimentIds, "bigint"));
  }
  return query.execute();
}

/** Takes an experiment out of the world, when nothing is left in it. @returns whether it was. */
export async function condemnExperiment(
  { db }: Store,
  experimentId: number,
  cutoffMs: number,
  nowMs: number,
): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom("tracking_experiment")
    .where("experiment_id", "=", experimentId)
    .where("lifecycle_stage", "=", "deleted")
    .where("updated_ms", "<", cutoffMs)
    .where(
      sql<boolean>`not exists (select 1 from tracking_run r where r.experiment_id = tracking_experiment.experiment_id)`,
    )
    .where(
      sql<boolean>`not exists (select 1 from tracking_logged_model l where l.experiment_id = tracking_experiment.experiment_id)`,
    )
    .executeTakeFirst();
  if (numDeletedRows === 0n) return false;
  await db
    .insertInto("tracking_garbage")
    .values({
      kind: "experiment",
      id: String(experimentId),
      experiment_id: experimentId,
      artifact_uri: "",
      condemned_ms: nowMs,
    })
    .onConflict((conflict) => conflict.columns(["kind", "id"]).doNothing())
    .execute();
  return true;
}

export function selectCondemned(
  { db }: Store,
  after: Pick<GarbageRow, "kind" | "id"> | undefined,
  limit: number,
): Promise<GarbageRow[]> {
  let query = db.selectFrom("tracking_garbage").selectAll().orderBy("kind").orderBy("id").limit(limit);
  if (after !== undefined) {
    const { kind, id } = after;
    query = query.where((eb) =>
      eb.or([eb("kind", ">", kind), eb.and([eb("kind", "=", kind), eb("id", ">", id)])]),
    );
  }
  return query.execute();
}

export async function forget({ db }: Store, { kind, id }: GarbageRow): Promise<void> {
  await db.deleteFrom("tracking_garbage").where("kind", "=", kind).where("id", "=", id).execute();
}

/** What hangs on the rows that are gone: table, the column that names the owner, and its primary key. */
const leftovers: Readonly<Record<GarbageRow["kind"], readonly (readonly [string, string, string])[]>> = {
  run: [
    ["tracking_metric", "run_id", "run_id, key, timestamp, step, value, is_nan"],
    ["tracking_latest_metric", "run_id", "run_id, key"],
    ["tracking_param", "run_id", "run_id, key"],
    ["tracking_tag", "run_id", "run_id, key"],
    ["tracking_run_input", "run_id", "run_id, dataset_id"],
    ["tracking_run_model", "run_id", "run_id, direction, model_id, step"],
  ],
  model: [
    [
      "tracking_logged_model_metric",
      "model_id",
      "model_id, key, timestamp, step, run_id, dataset_name, dataset_digest, value, is_nan",
    ],
    ["tracking_logged_model_param", "model_id", "model_id, key"],
    ["tracking_logged_model_tag", "model_id", "model_id, key"],
  ],
  experiment: [
    ["tracking_experiment_tag", "experiment_id", "experiment_id, key"],
    ["tracking_dataset", "experiment_id", "dataset_id"],
  ],
};

/**
 * Deletes some of what is left of a condemned row.
 *
 * @returns how many rows; none when nothing is left
 */
export async function deleteLeftovers(
  { db }: Store,
  { kind, id }: Pick<GarbageRow, "kind" | "id">,
  limit: number,
): Promise<number> {
  const owner = kind === "experiment" ? Number(id) : id;
  for (const [table, column, key] of leftovers[kind]) {
    const columns = sql.raw(key);
    const { numAffectedRows = 0n } = await sql`
      delete from ${sql.table(table)} where (${columns}) in
        (select ${columns} from ${sql.table(table)} where ${sql.ref(column)} = ${owner} limit ${limit})`.execute(
      db,
    );
    if (numAffectedRows > 0n) return Number(numAffectedRows);
  }
  return 0;
}

export interface Owner {
  readonly id: string;
  readonly artifact_uri: string;
  /** 1 when it may go itself. */
  readonly is_garbage: number;
}

/** The runs and models among these ids. A path of artifacts names its owner: `…/<run>/artifacts/…`, `…/models/<model>/…`. */
export async function selectOwners(store: Store, ids: readonly string[], scope: Scope): Promise<Owner[]> {
  const owners: Owner[] = [];
  for (const kind of ["run", "model"] as const) {
    const id = sql.raw(`o.${tables[kind].id}`);
    const { rows } = await sql<Owner>`
      select ${id} as id, o.artifact_uri, case when ${isGarbage(kind, scope, store)} then 1 else 0 end as is_garbage
      from ${joined(kind)} where ${isAnyOf(store.dialect, sql`${id}`, ids)}`.execute(store.db);
    owners.push(...rows);
  }
  return owners;
}

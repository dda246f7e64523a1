import type { Kysely, Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { Rollout, RolloutEvent } from "./schemas.ts";

export interface RolloutTables {
  serving_rollout: {
    id: string;
    deployment: string;
    state: string;
    state_reason: string;
    /** JSON, as are gates and steps. */
    target: string;
    champion: string;
    gates: string;
    on_failure: string;
    on_deadline: string;
    steps: string;
    step: number;
    base_revision: number;
    revision: number;
    started_ms: number;
    since_ms: number;
    paused_ms: number | null;
    /** Null while it is active: of those there is one per deployment. */
    ended_ms: number | null;
    author_id: string;
    author_name: string;
    reason: string;
  };
  serving_rollout_event: {
    rollout: string;
    number: number;
    at_ms: number;
    kind: string;
    step: number;
    revision: number | null;
    actor_id: string;
    actor_name: string;
    reason: string;
  };
}

/** A rollout with what its clock needs. */
export interface StoredRollout extends Rollout {
  /** When the current step began, moved on by the time that it was paused. */
  readonly sinceMs: number;
  readonly pausedMs: number | null;
}

type Handle = Kysely<RolloutTables> | Transaction<RolloutTables>;

export interface RolloutStore {
  /** The row of a rollout of this deployment. */
  find(deployment: string, id: string): Promise<StoredRollout | null>;
  /** Newest first, those before a position. */
  list(
    deployment: string,
    before: RolloutPosition | undefined,
    limit: number,
  ): Promise<readonly StoredRollout[]>;
  /** Of all deployments, by id. */
  running(after: string, limit: number): Promise<readonly StoredRollout[]>;
  /** Newest first. */
  events(id: string, limit: number): Promise<readonly RolloutEvent[]>;
}

export interface RolloutPosition {
  readonly startedMs: number;
  readonly id: string;
}

/** Reading and writing inside a change of deployments, of which there is one at a time. */
export interface RolloutWriter {
  find(deployment: string, id: string): Promise<StoredRollout | null>;
  /** The running or paused one. */
  active(deployment: string): Promise<StoredRollout | null>;
  insert(rollout: StoredRollout): Promise<void>;
  update(rollout: StoredRollout): Promise<void>;
  addEvent(id: string, event: Omit<RolloutEvent, "number">): Promise<void>;
}

export function createRolloutStore(database: Database): RolloutStore {
  const tables = database.tables<RolloutTables>();
  return {
    find: (deployment, id) => findRollout(tables, deployment, id),
    async list(deployment, before, limit) {
      let query = tables.selectFrom("serving_rollout").selectAll().where("deployment", "=", deployment);
      if (before !== undefined) {
        query = query.where((where) =>
          where.or([
            where("started_ms", "<", before.startedMs),
            where.and([where("started_ms", "=", before.startedMs), where("id", "<", before.id)]),
          ]),
        );
      }
      const rows = await query.orderBy("started_ms", "desc").orderBy("id", "desc").limit(limit).execute();
      return rows.map(rolloutOf);
    },
    async running(after, limit) {
      const rows = await tables
        .selectFrom("serving_rollout")
        .selectAll()
        .where("ended_ms", "is", null)
        .where("state", "=", "running")
        .where("id", ">", after)
        .orderBy("id")
        .limit(limit)
        .execute();
      return rows.map(rolloutOf);
    },
    async events(id, limit) {
      const rows = await tables
        .selectFrom("serving_rollout_event")
        .selectAll()
        .where("rollout", "=", id)
        .orderBy("number", "desc")
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        number: row.number,
        atMs: row.at_ms,
        kind: row.kind as RolloutEvent["kind"],
        step: row.step,
        revision: row.revision,
        by: { id: row.actor_id, name: row.actor_name },
        reason: row.reason,
      }));
    },
  };
}

export function rolloutWriter(trx: Transaction<RolloutTables>): RolloutWriter {
  return {
    find: (deployment, id) => findRollout(trx, deployment, id),
    async active(deployment) {
      const row = await trx
        .selectFrom("serving_rollout")
        .selectAll()
        .where("deployment", "=", deployment)
        .where("ended_ms", "is", null)
        .executeTakeFirst();
      return row === undefined ? null : rolloutOf(row);
    },
    async insert(rollout) {
      await trx.insertInto("serving_rollout").values(rowOf(rollout)).execute();
    },
    async update(rollout) {
      const { id, ...row } = rowOf(rollout);
      await trx.updateTable("serving_rollout").set(row).where("id", "=", id).execute();
    },
    async addEvent(id, event) {
      const { newest } = await trx
        .selectFrom("serving_rollout_event")
        .select((select) => select.fn.max("number").as("newest"))
        .where("rollout", "=", id)
        .executeTakeFirstOrThrow();
      await trx
        .insertInto("serving_rollout_event")
        .values({
          rollout: id,
          number: (newest ?? 0) + 1,
          at_ms: event.atMs,
          kind: event.kind,
          step: event.step,
          revision: event.revision,
          actor_id: event.by.id,
          actor_name: event.by.name,
          reason: event.reason,
        })
        .execute();
    },
  };
}

async function findRollout(handle: Handle, deployment: string, id: string): Promise<StoredRollout | null> {
  const row = await handle
    .selectFrom("serving_rollout")
    .selectAll()
    .where("deployment", "=", deployment)
    .where("id", "=", id)
    .executeTakeFirst();
  return row === undefined ? null : rolloutOf(row);
}

/** What is in the database was checked when it was written. */
function rolloutOf(row: RolloutTables["serving_rollout"]): StoredRollout {
  return {
    id: row.id,
    deployment: row.deployment,
    state: row.state as Rollout["state"],
    stateReason: row.state_reason,
    target: JSON.parse(row.target) as Rollout["target"],
    champion: row.champion,
    gates: JSON.parse(row.gates) as Rollout["gates"],
    onFailure: row.on_failure as Rollout["onFailure"],
    onDeadline: row.on_deadline as Rollout["onDeadline"],
    steps: stepsOf(row.steps),
    step: row.step,
    baseRevision: row.base_revision,
    revision: row.revision,
    startedMs: row.started_ms,
    sinceMs: row.since_ms,
    pausedMs: row.paused_ms,
    endedMs: row.ended_ms,
    startedBy: { id: row.author_id, name: row.author_name },
    reason: row.reason,
  };
}

/** Steps from before there were deadlines wait as long as they were promised: without end. */
function stepsOf(text: string): Rollout["steps"] {
  const steps = JSON.parse(text) as Rollout["steps"];
  return steps.map((step) => ({ ...step, progressDeadlineMs: step.progressDeadlineMs ?? null }));
}

function rowOf(rollout: StoredRollout): RolloutTables["serving_rollout"] {
  return {
    id: rollout.id,
    deployment: rollout.deployment,
    state: rollout.state,
    state_reason: rollout.stateReason,
    target: JSON.stringify(rollout.target),
    champion: rollout.champion,
    gates: JSON.stringify(rollout.gates),
    on_failure: rollout.onFailure,
    on_deadline: rollout.onDeadline,
    steps: JSON.stringify(rollout.steps),
    step: rollout.step,
    base_revision: rollout.baseRevision,
    revision: rollout.revision,
    started_ms: rollout.startedMs,
    since_ms: rollout.sinceMs,
    paused_ms: rollout.pausedMs,
    ended_ms: rollout.endedMs,
    author_id: rollout.startedBy.id,
    author_name: rollout.startedBy.name,
    reason: rollout.reason,
  };
}

import type { Kysely, Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import { type RolloutTables, type RolloutWriter, rolloutWriter } from "../rollouts/store.ts";
import type { Deployment, DeploymentRevision } from "../schemas.ts";

export interface ServingTables extends RolloutTables {
  /** One row: how many changes there were of any deployment. */
  serving_state: { id: number; change_number: number };
  serving_deployment: {
    name: string;
    /** Of the current revision; goes on counting when a deleted name is used again. */
    revision: number;
    /** The number of the change that made it so; instances read what is newer than what they know. */
    change_number: number;
    created_ms: number;
    deleted: number;
  };
  serving_revision: {
    deployment: string;
    revision: number;
    change: string;
    /** JSON. */
    spec: string;
    author_id: string;
    author_name: string;
    reason: string;
    created_ms: number;
    restores: number | null;
    rollout: string | null;
    health: string;
    health_reason: string | null;
  };
}

type Handle = Kysely<ServingTables> | Transaction<ServingTables>;

/** A deployment that may be deleted, as instances follow it. */
export interface StoredDeployment {
  readonly deployment: Deployment;
  readonly deleted: boolean;
  readonly changeNumber: number;
}

export interface DeploymentStore {
  changeNumber(): Promise<number>;
  /** Deployments that changed after the change of this number. */
  changedSince(changeNumber: number): Promise<readonly StoredDeployment[]>;
  find(name: string): Promise<StoredDeployment | null>;
  /** Those that are not deleted, by name. */
  list(after: string, limit: number): Promise<readonly Deployment[]>;
  /** Newest first, those below a number. */
  revisions(name: string, below: number, limit: number): Promise<readonly DeploymentRevision[]>;
  /** Runs `work` alone: two changes of deployments never overlap, on any instance. */
  change<Result>(work: (change: DeploymentWriter) => Promise<Result>): Promise<Result>;
}

/** Reading and writing inside one change. */
export interface DeploymentWriter {
  readonly rollouts: RolloutWriter;
  find(name: string): Promise<StoredDeployment | null>;
  revisions(name: string, below: number, limit: number): Promise<readonly DeploymentRevision[]>;
  append(revision: DeploymentRevision): Promise<void>;
  setHealth(
    name: string,
    revision: number,
    health: DeploymentRevision["health"],
    reason: string,
  ): Promise<void>;
}

export function createDeploymentStore(database: Database): DeploymentStore {
  const tables = database.tables<ServingTables>();
  return {
    async changeNumber() {
      const row = await tables.selectFrom("serving_state").select("change_number").executeTakeFirst();
      return row?.change_number ?? 0;
    },
    async changedSince(changeNumber) {
      const rows = await deployments(tables)
        .where("serving_deployment.change_number", ">", changeNumber)
        .execute();
      return rows.map(stored);
    },
    find: (name) => findDeployment(tables, name),
    async list(after, limit) {
      const rows = await deployments(tables)
        .where("serving_deployment.name", ">", after)
        .where("serving_deployment.deleted", "=", 0)
        .orderBy("serving_deployment.name")
        .limit(limit)
        .execute();
      return rows.map((row) => stored(row).deployment);
    },
    revisions: (name, below, limit) => findRevisions(tables, name, below, limit),
    change: (work) =>
      database.transaction(async (trx: Transaction<ServingTables>) => {
        // The lock on this row makes the order of the numbers the order in which changes become visible.
        const { change_number } = await trx
          .updateTable("serving_state")
          .set((expression) => ({ change_number: expression("change_number", "+", 1) }))
          .returning("change_number")
          .executeTakeFirstOrThrow();
        return work(writer(trx, change_number));
      }),
  };
}

function writer(trx: Transaction<ServingTables>, changeNumber: number): DeploymentWriter {
  return {
    rollouts: rolloutWriter(trx),
    find: (name) => findDeployment(trx, name),
    revisions: (name, below, limit) => findRevisions(trx, name, below, limit),
    async append(revision) {
      const deleted = revision.change === "delete" ? 1 : 0;
      await trx.insertInto("serving_revision").values(rowOf(revision)).execute();
      const head = { revision: revision.revision, change_number: changeNumber, deleted };
      await trx
        .insertInto("serving_deployment")
        .values({ name: revision.deployment, created_ms: revision.createdMs, ...head })
        .onConflict((conflict) =>
          conflict
            .column("name")
            .doUpdateSet(revision.change === "create" ? { ...head, created_ms: revision.createdMs } : head),
        )
        .execute();
    },
    async setHealth(name, revision, health, reason) {
      await trx
        .updateTable("serving_revision")
        .set({ health, health_reason: reason })
        .where("deployment", "=", name)
        .where("revision", "=", revision)
        .execute();
    },
  };
}

function deployments(handle: Handle) {
  return handle
    .selectFrom("serving_deployment")
    .innerJoin("serving_revision", (join) =>
      join
        .onRef("serving_revision.deployment", "=", "serving_deployment.name")
        .onRef("serving_revision.revision", "=", "serving_deployment.revision"),
    )
    .select([
      "serving_deployment.name",
      "serving_deployment.revision",
      "serving_deployment.change_number",
      "serving_deployment.created_ms",
      "serving_deployment.deleted",
      "serving_revision.spec",
      "serving_revision.author_id",
      "serving_revision.author_name",
      "serving_revision.reason",
      "serving_revision.created_ms as updated_ms",
    ]);
}

type DeploymentRow = Awaited<ReturnType<ReturnType<typeof deployments>["execute"]>>[number];

async function findDeployment(handle: Handle, name: string): Promise<StoredDeployment | null> {
  const row = await deployments(handle).where("serving_deployment.name", "=", name).executeTakeFirst();
  return row === undefined ? null : stored(row);
}

async function findRevisions(
  handle: Handle,
  name: string,
  below: number,
  limit: number,
): Promise<readonly DeploymentRevision[]> {
  const rows = await handle
    .selectFrom("serving_revision")
    .selectAll()
    .where("deployment", "=", name)
    .where("revision", "<", below)
    .orderBy("revision", "desc")
    .limit(limit)
    .execute();
  return rows.map(revisionOf);
}

/** A spec in the database was checked when it was written. */
function stored(row: DeploymentRow): StoredDeployment {
  return {
    changeNumber: row.change_number,
    deleted: row.deleted === 1,
    deployment: {
      name: row.name,
      revision: row.revision,
      ...(JSON.parse(row.spec) as DeploymentRevision["spec"]),
      createdMs: row.created_ms,
      updatedMs: row.updated_ms,
      updatedBy: { id: row.author_id, name: row.author_name },
      reason: row.reason,
    },
  };
}

function revisionOf(row: ServingTables["serving_revision"]): DeploymentRevision {
  return {
    deployment: row.deployment,
    revision: row.revision,
    change: row.change as DeploymentRevision["change"],
    spec: JSON.parse(row.spec) as DeploymentRevision["spec"],
    author: { id: row.author_id, name: row.author_name },
    reason: row.reason,
    createdMs: row.created_ms,
    restores: row.restores,
    rollout: row.rollout,
    health: row.health as DeploymentRevision["health"],
    healthReason: row.health_reason,
  };
}

function rowOf(revision: DeploymentRevision): ServingTables["serving_revision"] {
  return {
    deployment: revision.deployment,
    revision: revision.revision,
    change: revision.change,
    spec: JSON.stringify(revision.spec),
    author_id: revision.author.id,
    author_name: revision.author.name,
    reason: revision.reason,
    created_ms: revision.createdMs,
    restores: revision.restores,
    rollout: revision.rollout,
    health: revision.health,
    health_reason: revision.healthReason,
  };
}

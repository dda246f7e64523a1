import type { Selectable, Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { Monitor, MonitorRevision } from "../schemas.ts";

interface MonitorTable {
  name: string;
  revision: number;
  /** MonitorSpec as JSON. */
  spec: string;
  created_ms: number;
  updated_ms: number;
  /** Id and name as JSON. */
  updated_by: string;
}

interface RevisionTable {
  monitor: string;
  revision: number;
  change: MonitorRevision["change"];
  spec: string | null;
  author: string;
  reason: string;
  created_ms: number;
}

interface Tables {
  monitor: MonitorTable;
  monitor_revision: RevisionTable;
}

export type MonitorRow = Selectable<MonitorTable>;

export type MonitorStore = ReturnType<typeof createMonitorStore>;

/** The monitors and their history. */
export function createMonitorStore(database: Database) {
  const tables = () => database.tables<Tables>();
  return {
    get: (name: string) =>
      tables().selectFrom("monitor").selectAll().where("name", "=", name).executeTakeFirst(),

    list: (after: string, limit: number) =>
      tables()
        .selectFrom("monitor")
        .selectAll()
        .where("name", ">", after)
        .orderBy("name")
        .limit(limit)
        .execute(),

    all: () => tables().selectFrom("monitor").selectAll().orderBy("name").execute(),

    revisions: (name: string, before: number, limit: number) =>
      tables()
        .selectFrom("monitor_revision")
        .selectAll()
        .where("monitor", "=", name)
        .where("revision", "<", before)
        .orderBy("revision", "desc")
        .limit(limit)
        .execute(),

    /** The number of a monitor's last revision, of a deleted one too; 0 when there never was one. */
    lastRevision: async (name: string) => {
      const row = await tables()
        .selectFrom("monitor_revision")
        .select("revision")
        .where("monitor", "=", name)
        .orderBy("revision", "desc")
        .limit(1)
        .executeTakeFirst();
      return row?.revision ?? 0;
    },

    /** Writes the next revision. @returns false when somebody else wrote a revision of that number first. */
    write: (row: MonitorRow, change: RevisionTable) =>
      database.transaction<Tables, boolean>(async (trx) => {
        if (!(await addRevision(trx, change))) return false;
        await trx
          .insertInto("monitor")
          .values(row)
          .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
          .execute();
        return true;
      }),

    /** Likewise, and the monitor is gone. */
    remove: (change: RevisionTable) =>
      database.transaction<Tables, boolean>(async (trx) => {
        if (!(await addRevision(trx, change))) return false;
        await trx.deleteFrom("monitor").where("name", "=", change.monitor).execute();
        return true;
      }),
  };
}

/** The primary key is the compare-and-set: two writers cannot both have the same next revision. */
async function addRevision(trx: Transaction<Tables>, change: RevisionTable): Promise<boolean> {
  const added = await trx
    .insertInto("monitor_revision")
    .values(change)
    .onConflict((conflict) => conflict.columns(["monitor", "revision"]).doNothing())
    .executeTakeFirst();
  return Number(added.numInsertedOrUpdatedRows) > 0;
}

export function monitorOf(row: MonitorRow): Monitor {
  return {
    name: row.name,
    revision: row.revision,
    ...JSON.parse(row.spec),
    createdMs: row.created_ms,
    updatedMs: row.updated_ms,
    updatedBy: JSON.parse(row.updated_by),
  };
}

export function revisionOf(row: Selectable<RevisionTable>): MonitorRevision {
  return {
    monitor: row.monitor,
    revision: row.revision,
    change: row.change,
    spec: row.spec === null ? null : JSON.parse(row.spec),
    author: JSON.parse(row.author),
    reason: row.reason,
    createdMs: row.created_ms,
  };
}

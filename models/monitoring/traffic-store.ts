import type { Selectable } from "kysely";
import type { Database } from "../../shared/database/index.ts";
import type { Traffic } from "./schemas.ts";
import { type TrafficMinute, trafficOf } from "./traffic.ts";

interface TrafficTable {
  deployment: string;
  minute_ms: number;
  revision: number;
  variant: string;
  model: string;
  version: string;
  shadow: number;
  instance: string;
  requests: number;
  errors: number;
  rejected: number;
  invalid_outputs: number;
  /** Requests per bin as JSON. */
  latency: string;
}

/** One version that was taken out of service, at most once ever per deployment. */
interface RollbackTable {
  deployment: string;
  model: string;
  version: string;
  revision: number;
  monitor: string;
  at_ms: number;
  /** Null while it is being done. */
  outcome: string | null;
}

interface Tables {
  monitoring_traffic: TrafficTable;
  monitoring_rollback: RollbackTable;
}

export interface VersionTraffic {
  readonly model: string;
  readonly version: string;
  readonly traffic: Traffic;
}

/** Both ends included. */
export interface RevisionRange {
  readonly from: number;
  readonly to: number;
}

const allRevisions: RevisionRange = { from: 0, to: Number.MAX_SAFE_INTEGER };

export type RollbackRow = Selectable<RollbackTable>;

export type TrafficStore = ReturnType<typeof createTrafficStore>;

/** Minutes of traffic, and the rollbacks that followed from them. */
export function createTrafficStore(database: Database, instance: string) {
  const tables = () => database.tables<Tables>();

  const answered = (deployment: string, fromMs: number, toMs: number, revisions: RevisionRange) =>
    tables()
      .selectFrom("monitoring_traffic")
      .selectAll()
      .where("deployment", "=", deployment)
      .where("minute_ms", ">=", fromMs)
      .where("minute_ms", "<", toMs)
      .where("revision", ">=", revisions.from)
      .where("revision", "<=", revisions.to)
      .where("shadow", "=", 0)
      .execute();

  return {
    /** Stores whole minutes of this instance; storing one again replaces it. */
    write: (minutes: readonly TrafficMinute[]) =>
      database.transaction<Tables, void>(async (trx) => {
        for (const minute of minutes) {
          const row: TrafficTable = {
            deployment: minute.deployment,
            minute_ms: minute.minuteMs,
            revision: minute.revision,
            variant: minute.variant,
            model: minute.model,
            version: minute.version,
            shadow: minute.shadow ? 1 : 0,
            instance,
            requests: minute.requests,
            errors: minute.errors,
            rejected: minute.rejected,
            invalid_outputs: minute.invalidOutputs,
            latency: JSON.stringify(minute.latency),
          };
          await trx
            .insertInto("monitoring_traffic")
            .values(row)
            .onConflict((conflict) => conflict.columns(trafficKey).doUpdateSet(row))
            .execute();
        }
      }),

    /** What answered callers in [fromMs, toMs), per model version, the most asked one first. */
    byVersion: async (deployment: string, fromMs: number, toMs: number, revisions = allRevisions) => {
      const rows = await answered(deployment, fromMs, toMs, revisions);
      const groups = Map.groupBy(rows, (row) => JSON.stringify([row.model, row.version]));
      return [...groups.values()]
        .flatMap((group): VersionTraffic[] => {
          const [first] = group;
          if (first === undefined) return [];
          return [{ model: first.model, version: first.version, traffic: trafficOf(group.map(minuteOf)) }];
        })
        .sort((a, b) => b.traffic.requests - a.traffic.requests);
    },

    /** Of all versions together; null when nobody asked. */
    total: async (deployment: string, fromMs: number, toMs: number): Promise<Traffic | null> => {
      const rows = await answered(deployment, fromMs, toMs, allRevisions);
      return rows.length === 0 ? null : trafficOf(rows.map(minuteOf));
    },

    prune: async (beforeMs: number) => {
      await tables().deleteFrom("monitoring_traffic").where("minute_ms", "<", beforeMs).execute();
    },

    /** Claims the one rollback of a version. @returns the row, of an earlier claim if there was one. */
    claimRollback: (row: Omit<RollbackRow, "outcome">) =>
      database.transaction<Tables, RollbackRow>(async (trx) => {
        const claim = { ...row, outcome: null };
        await trx
          .insertInto("monitoring_rollback")
          .values(claim)
          .onConflict((conflict) => conflict.columns(["deployment", "model", "version"]).doNothing())
          .execute();
        return trx
          .selectFrom("monitoring_rollback")
          .selectAll()
          .where("deployment", "=", row.deployment)
          .where("model", "=", row.model)
          .where("version", "=", row.version)
          .executeTakeFirstOrThrow();
      }),

    rollbacksSince: (deployment: string, sinceMs: number) =>
      tables()
        .selectFrom("monitoring_rollback")
        .selectAll()
        .where("deployment", "=", deployment)
        .where("at_ms", ">=", sinceMs)
        .execute(),

    endRollback: async ({ deployment, model, version }: RollbackRow, outcome: string) => {
      await tables()
        .updateTable("monitoring_rollback")
        .set({ outcome })
        .where("deployment", "=", deployment)
        .where("model", "=", model)
        .where("version", "=", version)
        .execute();
    },
  };
}

const trafficKey = [
  "deployment",
  "minute_ms",
  "revision",
  "variant",
  "model",
  "version",
  "shadow",
  "instance",
] as const;

function minuteOf(row: Selectable<TrafficTable>): Parameters<typeof trafficOf>[0][number] {
  return {
    requests: row.requests,
    errors: row.errors,
    rejected: row.rejected,
    invalidOutputs: row.invalid_outputs,
    latency: JSON.parse(row.latency),
  };
}

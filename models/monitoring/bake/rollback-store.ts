import type { Selectable } from "kysely";
import type { Database } from "../../../shared/database/index.ts";

/** One version that was taken out of service, at most once ever per deployment. */
interface RollbackTable {
  deployment: string;
  model: string;
  version: string;
  revision: number;
  monitor: string;
  at_ms: number;
  /** RollbackEvidence as JSON; null for those that were made before it was kept. */
  evidence: string | null;
  /** Null while it is being done. */
  outcome: string | null;
}

interface Tables {
  monitoring_rollback: RollbackTable;
}

export type RollbackRow = Selectable<RollbackTable>;

export type RollbackStore = ReturnType<typeof createRollbackStore>;

/** Which versions monitoring took out of service, and by what evidence. */
export function createRollbackStore(database: Database) {
  const tables = () => database.tables<Tables>();
  return {
    /** Claims the one rollback of a version. @returns the row, of an earlier claim if there was one. */
    claim: (row: Omit<RollbackRow, "outcome">) =>
      database.transaction<Tables, RollbackRow>(async (trx) => {
        await trx
          .insertInto("monitoring_rollback")
          .values({ ...row, outcome: null })
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

    since: (deployment: string, sinceMs: number) =>
      tables()
        .selectFrom("monitoring_rollback")
        .selectAll()
        .where("deployment", "=", deployment)
        .where("at_ms", ">=", sinceMs)
        .execute(),

    end: async ({ deployment, model, version }: RollbackRow, outcome: string) => {
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

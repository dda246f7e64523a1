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
  /** Null while it is being done. */
  outcome: string | null;
}

/** What was decided about a version whose signals were bad enough, and why. */
interface DecisionTable {
  id: string;
  deployment: string;
  model: string;
  version: string;
  revision: number;
  monitor: string;
  at_ms: number;
  /** DecisionInputs as JSON. */
  inputs: string;
  /** Pending while a rollback is being carried out. */
  outcome: "rolled_back" | "dry_run" | "refused" | "pending";
  detail: string;
  /** That serves what was before. */
  new_revision: number | null;
}

interface Tables {
  monitoring_rollback: RollbackTable;
  rollback_decision: DecisionTable;
}

export type DecisionRow = Selectable<DecisionTable>;

export interface DecisionPosition {
  readonly atMs: number;
  readonly id: string;
}

export type RollbackRow = Selectable<RollbackTable>;

export type RollbackStore = ReturnType<typeof createRollbackStore>;

/** Which versions monitoring took out of service, and by what evidence. */
export function createRollbackStore(database: Database) {
  const tables = () => database.tables<Tables>();
  return {
    /**
     * Claims the one rollback of a version, and writes the decision down as pending.
     *
     * @returns the row, of an earlier claim if there was one
     */
    claim: (row: Omit<RollbackRow, "outcome">, decision: DecisionRow) =>
      database.transaction<Tables, RollbackRow>(async (trx) => {
        const claimed = await trx
          .insertInto("monitoring_rollback")
          .values({ ...row, outcome: null })
          .onConflict((conflict) => conflict.columns(["deployment", "model", "version"]).doNothing())
          .returning("deployment")
          .executeTakeFirst();
        if (claimed !== undefined) {
          await trx
            .insertInto("rollback_decision")
            .values({ ...decision, outcome: "pending" })
            .execute();
        }
        return trx
          .selectFrom("monitoring_rollback")
          .selectAll()
          .where("deployment", "=", row.deployment)
          .where("model", "=", row.model)
          .where("version", "=", row.version)
          .executeTakeFirstOrThrow();
      }),

    decided: async (row: DecisionRow): Promise<void> => {
      await tables().insertInto("rollback_decision").values(row).execute();
    },

    decision: (id: string): Promise<DecisionRow | undefined> =>
      tables().selectFrom("rollback_decision").selectAll().where("id", "=", id).executeTakeFirst(),

    /** Newest first. */
    decisions(
      filter: {
        readonly deployment?: string | undefined;
        readonly outcome?: DecisionRow["outcome"] | undefined;
      },
      after: DecisionPosition | undefined,
      limit: number,
    ): Promise<DecisionRow[]> {
      let query = tables().selectFrom("rollback_decision").selectAll();
      if (filter.deployment !== undefined) query = query.where("deployment", "=", filter.deployment);
      if (filter.outcome !== undefined) query = query.where("outcome", "=", filter.outcome);
      if (after !== undefined) {
        const { atMs, id } = after;
        query = query.where((is) =>
          is.or([is("at_ms", "<", atMs), is.and([is("at_ms", "=", atMs), is("id", ">", id)])]),
        );
      }
      return query.orderBy("at_ms", "desc").orderBy("id").limit(limit).execute();
    },

    since: (deployment: string, sinceMs: number) =>
      tables()
        .selectFrom("monitoring_rollback")
        .selectAll()
        .where("deployment", "=", deployment)
        .where("at_ms", ">=", sinceMs)
        .execute(),

    /** What came of a claim. */
    end: (
      { deployment, model, version, revision }: RollbackRow,
      result: Pick<DecisionRow, "outcome" | "detail" | "new_revision">,
    ) =>
      database.transaction<Tables, void>(async (trx) => {
        await trx
          .updateTable("monitoring_rollback")
          .set({ outcome: result.detail })
          .where("deployment", "=", deployment)
          .where("model", "=", model)
          .where("version", "=", version)
          .execute();
        await trx
          .updateTable("rollback_decision")
          .set(result)
          .where("deployment", "=", deployment)
          .where("model", "=", model)
          .where("version", "=", version)
          .where("revision", "=", revision)
          .where("outcome", "=", "pending")
          .execute();
      }),
  };
}

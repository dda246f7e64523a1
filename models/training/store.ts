import type { Selectable, Transaction } from "kysely";
import type { Database } from "../../shared/database/index.ts";

interface TrainingTable {
  job_id: string;
  dataset: string;
  dataset_version: string;
  registered_model: string | null;
  /** Of the attempt that is under way or was the last. */
  run_id: string | null;
  model_version: number | null;
  created_by: string;
  created_ms: number;
}

interface Tables {
  training: TrainingTable;
}

export type TrainingRow = Selectable<TrainingTable>;
export type TrainingStore = ReturnType<typeof createTrainingStore>;

export function createTrainingStore(database: Database) {
  const tables = () => database.tables<Tables>();
  return {
    /** In the transaction that writes its job. */
    async insert(row: TrainingRow, transaction: Transaction<unknown>): Promise<void> {
      const trx = transaction as unknown as Transaction<Tables>;
      await trx.insertInto("training").values(row).execute();
    },

    get: (jobId: string) =>
      tables().selectFrom("training").selectAll().where("job_id", "=", jobId).executeTakeFirst(),

    /** The training whose last attempt made a run. */
    ofRun: (runId: string) =>
      tables().selectFrom("training").selectAll().where("run_id", "=", runId).executeTakeFirst(),

    async update(
      jobId: string,
      change: Partial<Pick<TrainingRow, "run_id" | "model_version">>,
    ): Promise<void> {
      await tables().updateTable("training").set(change).where("job_id", "=", jobId).execute();
    },

    /** Runs that were trained on a version, or on any of a data set, in the order of their jobs. */
    async runsOn(
      dataset: string,
      version: string | undefined,
      after: string,
      limit: number,
    ): Promise<{ job_id: string; run_id: string | null }[]> {
      let query = tables()
        .selectFrom("training")
        .select(["job_id", "run_id"])
        .where("dataset", "=", dataset)
        .where("job_id", ">", after)
        .orderBy("job_id")
        .limit(limit);
      if (version !== undefined) query = query.where("dataset_version", "=", version);
      return query.execute();
    },

    /** Newest first. */
    list(
      model: string | undefined,
      before: { readonly createdMs: number; readonly id: string } | undefined,
      limit: number,
    ) {
      let query = tables()
        .selectFrom("training")
        .selectAll()
        .orderBy("created_ms", "desc")
        .orderBy("job_id", "desc")
        .limit(limit);
      if (model !== undefined) query = query.where("registered_model", "=", model);
      if (before !== undefined) {
        query = query.where((where) =>
          where.or([
            where("created_ms", "<", before.createdMs),
            where.and([where("created_ms", "=", before.createdMs), where("job_id", "<", before.id)]),
          ]),
        );
      }
      return query.execute();
    },
  };
}

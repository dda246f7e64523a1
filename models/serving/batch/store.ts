import type { Selectable, Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { Job } from "../../../shared/jobs/index.ts";
import type { BatchSpec } from "./schemas.ts";

interface BatchTable {
  job_id: string;
  dataset: string;
  dataset_version: string;
  row_count: number;
  model: string;
  model_version: number;
  deployment: string | null;
  revision: number | null;
  output_dataset: string;
  /** Null until it is registered. */
  output_version: string | null;
  failed_rows: number | null;
  profile_job: string | null;
  created_by: string;
  created_ms: number;
}

/** A chunk that is done: its rows lie in a blob. */
interface ChunkTable {
  job_id: string;
  chunk: number;
  blob_key: string;
  failed_rows: number;
}

interface Tables {
  serving_batch: BatchTable;
  serving_batch_chunk: ChunkTable;
}

export type BatchRow = Selectable<BatchTable>;
export type ChunkRow = Selectable<ChunkTable>;
export type BatchStore = ReturnType<typeof createBatchStore>;

export interface BatchFilter {
  readonly output?: string | undefined;
  readonly outputVersion?: string | undefined;
  readonly model?: string | undefined;
}

/** What is known of a job before it ran. */
export function batchRow(
  spec: BatchSpec,
  { id, createdBy, createdMs }: Pick<Job, "id" | "createdBy" | "createdMs">,
): BatchRow {
  return {
    job_id: id,
    dataset: spec.dataset,
    dataset_version: spec.version,
    row_count: spec.rows,
    model: spec.model,
    model_version: spec.modelVersion,
    deployment: spec.deployment,
    revision: spec.revision,
    output_dataset: spec.output,
    output_version: null,
    failed_rows: null,
    profile_job: null,
    created_by: createdBy,
    created_ms: createdMs,
  };
}

export function createBatchStore(database: Database) {
  const tables = () => database.tables<Tables>();
  return {
    /** In the transaction that writes its job. */
    async insert(row: BatchRow, transaction: Transaction<unknown>): Promise<void> {
      const trx = transaction as unknown as Transaction<Tables>;
      await trx.insertInto("serving_batch").values(row).execute();
    },

    get: (jobId: string) =>
      tables().selectFrom("serving_batch").selectAll().where("job_id", "=", jobId).executeTakeFirst(),

    async complete(
      jobId: string,
      outcome: Pick<BatchRow, "output_version" | "failed_rows" | "profile_job">,
    ): Promise<void> {
      await tables().updateTable("serving_batch").set(outcome).where("job_id", "=", jobId).execute();
    },

    /** Newest first. */
    list(
      filter: BatchFilter,
      before: { readonly createdMs: number; readonly id: string } | undefined,
      limit: number,
    ) {
      let query = tables()
        .selectFrom("serving_batch")
        .selectAll()
        .orderBy("created_ms", "desc")
        .orderBy("job_id", "desc")
        .limit(limit);
      if (filter.output !== undefined) query = query.where("output_dataset", "=", filter.output);
      if (filter.outputVersion !== undefined)
        query = query.where("output_version", "=", filter.outputVersion);
      if (filter.model !== undefined) query = query.where("model", "=", filter.model);
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

    /** A chunk may be done twice, by a worker that lost its lease and by the next one; both wrote the same rows. */
    async addChunk(row: ChunkRow): Promise<void> {
      await tables()
        .insertInto("serving_batch_chunk")
        .values(row)
        .onConflict((conflict) => conflict.columns(["job_id", "chunk"]).doNothing())
        .execute();
    },

    /** In their order. */
    chunks: (jobId: string) =>
      tables()
        .selectFrom("serving_batch_chunk")
        .selectAll()
        .where("job_id", "=", jobId)
        .orderBy("chunk")
        .execute(),

    async deleteChunks(jobId: string): Promise<void> {
      await tables().deleteFrom("serving_batch_chunk").where("job_id", "=", jobId).execute();
    },

    /** Ids of jobs from before `beforeMs` that still have chunks. */
    async withOldChunks(beforeMs: number, limit: number): Promise<readonly string[]> {
      const rows = await tables()
        .selectFrom("serving_batch")
        .select("job_id")
        .where("created_ms", "<", beforeMs)
        .where("job_id", "in", (chunks) =>
          chunks.selectFrom("serving_batch_chunk").select("serving_batch_chunk.job_id"),
        )
        .orderBy("created_ms")
        .limit(limit)
        .execute();
      return rows.map((row) => row.job_id);
    },
  };
}

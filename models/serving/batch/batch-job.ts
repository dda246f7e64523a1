import path from "node:path";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import { conflict, invalid } from "../../../shared/errors.ts";
import type { JobContext, JobKind, WorkerPool } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import type { Datasets, DatasetVersion } from "../../datasets/index.ts";
import type { ModelFiles } from "../repository/model-files.ts";
import type { ModelSource } from "../repository/model-source.ts";
import type { SessionLimits } from "../runtime/sessions.ts";
import { type Chunk, doChunk, fileStream } from "./chunk.ts";
import { withHostPool } from "./host-pool.ts";
import { inputColumnsOf } from "./input-columns.ts";
import type { JoinChunksTask } from "./join-chunks.worker.ts";
import { outputPlans } from "./output-columns.ts";
import { type BatchResult, BatchSpec } from "./schemas.ts";
import type { BatchStore } from "./store.ts";

export interface BatchJobOptions {
  readonly store: BatchStore;
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
  readonly logger: Pick<Logger, "error">;
  readonly datasets: Pick<Datasets, "getVersion" | "withRows" | "register">;
  readonly models: Pick<ModelSource, "getVersion" | "artifactPrefix" | "manifest">;
  readonly files: ModelFiles;
  readonly limits: SessionLimits;
  /** The working directory of the models' processes. */
  readonly directory: string;
}

type Context = JobContext<BatchSpec>;

/** The column that says why a row has no prediction, where rows may have none. */
export const errorColumn = "prediction_error";

/** A day: what is done is kept, but a job should not be left and found running next week. */
const timeoutMs = 24 * 3600_000;

/**
 * Predicts a data set chunk by chunk, several at a time. A chunk that is done is a blob and a row of the database; a job
 * that is started again goes on with the others, and then puts all together in their order.
 */
export function batchJob(options: BatchJobOptions): JobKind<BatchSpec, BatchResult> {
  return {
    kind: "serving.batch",
    spec: BatchSpec,
    role: "contributor",
    timeoutMs,
    run: (context) => runBatch(options, context),
  };
}

/** The blobs of a job's chunks lie below this key. */
export function chunkPrefix(jobId: string): string {
  return `serving/batch/${jobId}`;
}

async function runBatch(options: BatchJobOptions, context: Context): Promise<BatchResult> {
  const { store, datasets } = options;
  const { jobId, spec } = context;
  if ((await store.get(jobId))?.output_version === null) {
    const version = await datasets.getVersion(spec.dataset, spec.version);
    await inScratchDirectory(async (scratchDirectory) => {
      await predictChunks(options, context, version, scratchDirectory);
      await registerOutput(options, context, scratchDirectory);
    });
  }
  await deleteChunks(options, jobId);
  const done = await store.get(jobId);
  return {
    dataset: spec.output,
    version: done?.output_version ?? "",
    rows: spec.rows,
    failedRows: done?.failed_rows ?? 0,
    chunks: chunksOf(jobId, spec).length,
    source: { dataset: spec.dataset, version: spec.version },
    model: { name: spec.model, version: spec.modelVersion },
    profileJob: done?.profile_job ?? null,
  };
}

async function predictChunks(
  options: BatchJobOptions,
  context: Context,
  version: DatasetVersion,
  scratchDirectory: string,
): Promise<void> {
  const { store, blobs, workers, datasets, models, files, limits, directory } = options;
  const { jobId, spec, signal } = context;
  const done = await store.chunks(jobId);
  const isDone = new Set(done.map(({ chunk }) => chunk));
  const left = chunksOf(jobId, spec).filter(({ index }) => !isDone.has(index));
  if (done.length > 0) context.log(`${done.length} chunks are done already; ${left.length} are left.`);
  if (left.length === 0) return;
  const registered = await models.getVersion(spec.model, spec.modelVersion);
  if (registered.storageLocation !== spec.storageLocation) {
    throw conflict(
      `Version ${spec.modelVersion} of "${spec.model}" was replaced since the job was submitted.`,
    );
  }
  const prefix = await models.artifactPrefix(spec.model, spec.modelVersion);
  const manifest = await models.manifest(spec.model, spec.modelVersion);
  const follow = progressOf(context, done.length);
  let failedRows = done.reduce((sum, chunk) => sum + chunk.failed_rows, 0);
  await datasets.withRows(version, (file) =>
    withHostPool(
      { files, prefix, registered: manifest, directory, limits, logger: options.logger, signal },
      async (hostPool) => {
        const { description } = hostPool;
        const inputColumns = inputColumnsOf(description, version.columns, spec.columns);
        const errors = spec.maxFailedRows > 0 ? errorColumn : null;
        const plans = outputPlans(description, spec.keep, errors === null ? [] : [errors]);
        context.log(
          `Version ${spec.modelVersion} of ${spec.model} gets ${inputColumns.map(({ name }) => name).join(", ")} of ${spec.rows} rows.`,
        );
        await each(left, limits.hosts + 1, signal, async (chunk, chunkSignal) => {
          const failed = await doChunk(
            {
              ...{ workers, blobs, hostPool, file, scratchDirectory, inputColumns, plans },
              ...{
                keep: spec.keep,
                maxFailedRows: spec.maxFailedRows,
                errorColumn: errors,
                signal: chunkSignal,
              },
            },
            chunk,
          );
          failedRows += failed;
          if (failedRows > spec.maxFailedRows) {
            throw invalid(`${failedRows} rows cannot be predicted; maxFailedRows is ${spec.maxFailedRows}.`);
          }
          await store.addChunk({
            job_id: jobId,
            chunk: chunk.index,
            blob_key: chunk.blobKey,
            failed_rows: failed,
          });
          follow(chunk);
        });
      },
    ),
  );
}

async function registerOutput(
  { store, blobs, workers, datasets }: BatchJobOptions,
  context: Context,
  scratchDirectory: string,
): Promise<void> {
  const { jobId, spec, signal } = context;
  context.progress(0.95, "putting the chunks together");
  const chunks = await store.chunks(jobId);
  const target = path.join(scratchDirectory, "predictions.parquet");
  const opened = [];
  try {
    for (const { blob_key: key } of chunks) opened.push(await blobs.localFile(key));
    const origin = {
      "ketline.dataset": spec.dataset,
      "ketline.dataset_version": spec.version,
      "ketline.model": spec.model,
      "ketline.model_version": String(spec.modelVersion),
    };
    const options = { signal, onProgress: () => undefined };
    await workers.runApart<JoinChunksTask, void>(
      new URL("./join-chunks.worker.ts", import.meta.url),
      { files: opened.map((file) => file.path), scratchDirectory, target, origin },
      options,
    );
  } finally {
    for (const file of opened) await file[Symbol.asyncDispose]();
  }
  // Asked now, when the deed is done: hours may have passed since the job was submitted.
  const actor = await context.actorNow();
  const registered = await datasets.register({
    dataset: spec.output,
    format: "parquet",
    body: fileStream(target),
    actor,
    signal,
  });
  const { version } = registered.version;
  await store.complete(jobId, {
    output_version: version,
    failed_rows: chunks.reduce((sum, chunk) => sum + chunk.failed_rows, 0),
    profile_job: registered.job?.id ?? null,
  });
  context.log(`The predictions are version ${version.slice(0, 12)} of ${spec.output}.`);
}

/** After the result is recorded, or when nobody is expected to go on. */
export async function deleteChunks(
  { store, blobs }: Pick<BatchJobOptions, "store" | "blobs">,
  jobId: string,
): Promise<void> {
  for (const { blob_key: key } of await store.chunks(jobId)) await blobs.delete(key);
  await store.deleteChunks(jobId);
}

/** A data set without rows has one chunk without rows, which carries the columns. */
function chunksOf(jobId: string, { rows, chunkRows }: BatchSpec): readonly Chunk[] {
  return Array.from({ length: Math.max(1, Math.ceil(rows / chunkRows)) }, (_, index) => ({
    index,
    start: index * chunkRows,
    rows: Math.min(chunkRows, rows - index * chunkRows),
    blobKey: `${chunkPrefix(jobId)}/${index}.parquet`,
  }));
}

/** Tells after each chunk how far the job is, and how fast this attempt has been. */
function progressOf({ spec, jobId, progress }: Context, doneBefore: number): (chunk: Chunk) => void {
  const startedMs = performance.now();
  const chunks = chunksOf(jobId, spec).length;
  let doneChunks = doneBefore;
  let rows = 0;
  return (chunk) => {
    doneChunks++;
    rows += chunk.rows;
    const total = Math.min(spec.rows, doneBefore * spec.chunkRows + rows);
    const perSecond = Math.round((1000 * rows) / Math.max(1, performance.now() - startedMs));
    progress(
      (0.95 * doneChunks) / chunks,
      `${total} of ${spec.rows} rows, ${perSecond} rows/s, ${doneChunks} of ${chunks} chunks`,
    );
  };
}

/**
 * Works on items in their order, `width` at a time. When one fails the others are told to stop, and waited for: what
 * they use goes away with the caller.
 */
async function each<Item>(
  items: readonly Item[],
  width: number,
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failure = new AbortController();
  const either = AbortSignal.any([signal, failure.signal]);
  const next = items.values();
  const follow = async () => {
    for (const item of next) {
      either.throwIfAborted();
      await work(item, either);
    }
  };
  const lanes = Array.from({ length: Math.min(width, items.length) }, () =>
    follow().catch((error: unknown) => {
      failure.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(lanes);
  either.throwIfAborted();
}

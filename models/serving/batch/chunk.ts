import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import { invalid } from "../../../shared/errors.ts";
import type { WorkerPool } from "../../../shared/jobs/index.ts";
import type { Column } from "../../datasets/index.ts";
import type { HostPool } from "./host-pool.ts";
import type { OutputPlan } from "./output-columns.ts";
import { type FailedRow, type PredictedRows, predictRows } from "./predict-rows.ts";
import type { ReadChunkResult, ReadChunkTask } from "./read-chunk.worker.ts";
import type { WriteChunkTask } from "./write-chunk.worker.ts";

/** What all chunks of a job have in common. */
export interface ChunkWork {
  readonly workers: WorkerPool;
  readonly blobs: BlobStore;
  readonly hostPool: HostPool;
  /** The rows of the data set, as Parquet. */
  readonly file: string;
  readonly scratchDirectory: string;
  readonly inputColumns: readonly Column[];
  readonly plans: readonly OutputPlan[];
  readonly keep: readonly string[];
  readonly maxFailedRows: number;
  readonly errorColumn: string | null;
  readonly signal: AbortSignal;
}

export interface Chunk {
  readonly index: number;
  readonly start: number;
  readonly rows: number;
  readonly blobKey: string;
}

/**
 * Reads, predicts and stores one chunk. Safe to do again: the same rows give the same blob.
 *
 * @returns how many of its rows have no prediction
 * @throws invalid naming the first such row, when there are more than the job may have
 */
export async function doChunk(work: ChunkWork, chunk: Chunk): Promise<number> {
  const { workers, blobs, hostPool, file, scratchDirectory, inputColumns, signal } = work;
  const options = { signal, onProgress: () => undefined };
  const read = await workers.runApart<ReadChunkTask, ReadChunkResult>(
    new URL("./read-chunk.worker.ts", import.meta.url),
    {
      file,
      scratchDirectory,
      start: chunk.start,
      rows: chunk.rows,
      inputColumns,
      model: hostPool.description,
    },
    options,
  );
  const rows = read.places?.length ?? chunk.rows;
  const predicted: PredictedRows =
    rows === 0
      ? { answered: [], failed: [] }
      : await predictRows(hostPool.description.signature, read.inputs, rows, work.maxFailedRows, (inputs) => {
          signal.throwIfAborted();
          return hostPool.run(inputs);
        });
  const { places } = read;
  const failed = [
    ...read.failed,
    ...predicted.failed.map(({ row, message }) => ({ row: places?.[row] ?? row, message })),
  ].sort((a, b) => a.row - b.row);
  if (failed.length > work.maxFailedRows) throw tooManyFailed(failed, chunk.start, work.maxFailedRows);
  const target = path.join(scratchDirectory, `chunk-${chunk.index}.parquet`);
  const { answered } = predicted;
  const { keep, plans, errorColumn } = work;
  try {
    await workers.runApart<WriteChunkTask, void>(
      new URL("./write-chunk.worker.ts", import.meta.url),
      {
        ...{ file, scratchDirectory, target, start: chunk.start, rows: chunk.rows },
        ...{ keep, plans, answered, places, failed, errorColumn },
      },
      options,
    );
    await blobs.put(chunk.blobKey, fileStream(target), { signal });
  } finally {
    await rm(target, { force: true });
  }
  return failed.length;
}

/** A local file as the body of a blob. */
export function fileStream(file: string): ReadableStream<Uint8Array> {
  return Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>;
}

export function tooManyFailed(failed: readonly FailedRow[], start: number, maxFailedRows: number) {
  const [first] = failed;
  const where = `Row ${start + (first?.row ?? 0)} (the first is 0) cannot be predicted: ${first?.message ?? ""}`;
  return invalid(
    maxFailedRows === 0
      ? `${where} With maxFailedRows such rows stay without a prediction.`
      : `${where} More than ${maxFailedRows} rows cannot be predicted, which is maxFailedRows.`,
  );
}

import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { Clock } from "../../../shared/clock.ts";
import { isFinal, isKetlineError } from "../../../shared/errors.ts";
import type { WorkerPool } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import type { ChampionModels } from "./champion.ts";
import type { KeyResult, KeysResult, KeysTask } from "./keys.worker.ts";
import { folderOf, type Plan } from "./plan.ts";
import type { ManyStore, TaskRow } from "./store.ts";

export interface TaskOptions {
  readonly many: ManyStore;
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
  readonly clock: Clock;
  readonly codeVersion: string;
}

export interface TaskWork {
  readonly jobId: string;
  readonly plan: Plan;
  readonly champion: ChampionModels | null;
  readonly signal: AbortSignal;
  /** Told after each task of this worker. */
  readonly onTask: () => Promise<void>;
}

/** How long a task of a worker that says nothing is left to it. */
const leaseMs = 30_000;
const beatMs = 5_000;
const memoryMiB = 1536;

/** What a task leaves in the blob store, under its prefix. */
export const taskFiles = { bundle: "models.bin", keys: "keys.json", scores: "scores.bin" } as const;

/** Works on tasks of a training until none is free. Any number of workers may do so, here and elsewhere. */
export async function workOnTasks(options: TaskOptions, work: TaskWork): Promise<void> {
  const { many, clock } = options;
  const owner = randomUUID();
  for (;;) {
    work.signal.throwIfAborted();
    const task = await many.claim(work.jobId, owner, clock(), leaseMs);
    if (task === undefined) return;
    await perform(options, work, task, owner);
    await work.onTask();
  }
}

async function perform(options: TaskOptions, work: TaskWork, task: TaskRow, owner: string): Promise<void> {
  const { many, clock } = options;
  const lost = new AbortController();
  const signal = AbortSignal.any([work.signal, lost.signal]);
  const beat = setInterval(() => {
    // A database that is away says nothing about whose the task is.
    many.extend(task, owner, clock() + leaseMs).then(
      (isOurs) => isOurs || lost.abort(new Error("Another worker has taken the task.")),
      () => {},
    );
  }, beatMs);
  try {
    const { prefix, keys } = await fitTask(options, work, task, owner, signal);
    await many.finish(task, owner, prefix, keys);
  } catch (error) {
    if (lost.signal.aborted) return;
    if (!work.signal.aborted && isFinal(error) && isKetlineError(error)) {
      await many.fail(task, owner, error.message);
      return;
    }
    await many.giveBack(task, owner).catch(() => {});
    throw error;
  } finally {
    clearInterval(beat);
  }
}

/** Blobs first: the row that names them comes after, and only one of two workers of a task gets to write it. */
async function fitTask(
  { blobs, workers, codeVersion }: TaskOptions,
  { jobId, plan, champion }: TaskWork,
  { task, attempts }: TaskRow,
  owner: string,
  signal: AbortSignal,
): Promise<{ prefix: string; keys: readonly KeyResult[] }> {
  const { spec, algorithm, recipe } = plan;
  const planned = plan.keys.filter((key) => key.task === task);
  const found = await inScratchDirectory(async (scratchDirectory) => {
    const files: string[] = [];
    for (const [index, key] of (plan.parts[task] ?? []).entries()) {
      const content = await blobs.get(key);
      if (content === null) throw new Error(`The rows of task ${task} are gone (${key}).`);
      const file = path.join(scratchDirectory, `rows-${index}.parquet`);
      await pipeline(Readable.fromWeb(content.stream), createWriteStream(file, { mode: 0o600 }), { signal });
      files.push(file);
    }
    return workers.runApart<KeysTask, KeysResult>(
      new URL("./keys.worker.ts", import.meta.url),
      {
        files,
        scratchDirectory,
        spec,
        algorithm,
        recipe,
        codeVersion,
        champions: (await champion?.modelsFor(planned)) ?? new Map(),
        championFallback: champion?.fallback ?? null,
      },
      { signal, memoryMiB },
    );
  });
  const prefix = `${folderOf(jobId)}/results/${task}-${attempts}-${owner}`;
  const scores = new Uint8Array(found.scores.buffer, found.scores.byteOffset, found.scores.byteLength);
  await blobs.put(`${prefix}/${taskFiles.bundle}`, found.bundle, { signal });
  await blobs.put(`${prefix}/${taskFiles.scores}`, scores, { signal });
  const text = new TextEncoder().encode(JSON.stringify(found.keys));
  await blobs.put(`${prefix}/${taskFiles.keys}`, text, { signal });
  return { prefix, keys: found.keys };
}

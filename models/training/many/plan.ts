import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { WorkerPool } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import type { Datasets, DatasetVersion } from "../../datasets/index.ts";
import type { Recipe } from "../data/recipe.ts";
import type { Algorithm, TrainingSpec } from "../schemas.ts";
import { type KeyColumn, keyColumnsOf } from "./key-columns.ts";
import type { Partition, PartitionTask, PlannedKey } from "./partition.worker.ts";
import type { ManyStore } from "./store.ts";

/** What every worker of a training has to know, as it was when the rows were partitioned. */
export interface Plan {
  readonly spec: TrainingSpec;
  readonly algorithm: Algorithm;
  readonly recipe: Recipe;
  readonly keyColumns: readonly KeyColumn[];
  readonly keys: readonly PlannedKey[];
  /** For each task the blobs with its rows. */
  readonly parts: readonly (readonly string[])[];
  readonly rowsWithoutKey: number;
  readonly withoutTarget: number;
  /** The version that held the alias then. */
  readonly champion: number | null;
}

export interface PlanOptions {
  readonly many: ManyStore;
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
  readonly datasets: Pick<Datasets, "withRows">;
}

export const defaultMinRows = 500;

export function folderOf(jobId: string): string {
  return `training/many/${jobId}`;
}

const planKey = (jobId: string) => `${folderOf(jobId)}/plan.json`;

export async function readPlan(blobs: BlobStore, jobId: string): Promise<Plan | null> {
  const content = await blobs.get(planKey(jobId));
  return content === null ? null : ((await new Response(content.stream).json()) as Plan);
}

/** Reads the data set and writes the rows of each task, once: whoever comes later goes on with what is there. */
export async function planTraining(
  { many, blobs, workers, datasets }: PlanOptions,
  jobId: string,
  version: DatasetVersion,
  given: Pick<Plan, "spec" | "algorithm" | "recipe" | "champion">,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (done: number, message?: string) => void },
): Promise<Plan> {
  const { spec, recipe } = given;
  const keyColumns = keyColumnsOf(spec.partitionBy ?? [], version.columns, spec.target.column);
  const known = await readPlan(blobs, jobId);
  const plan = known ?? (await write());
  const fewRows = `It has fewer than ${spec.minRows ?? defaultMinRows} rows (minRows).`;
  await many.plan(jobId, plan.keys, fewRows);
  return plan;

  async function write(): Promise<Plan> {
    const levels = Array.from(keyColumns, (_, index) => keyColumns.length - index);
    const partition = await datasets.withRows(version, (file) =>
      inScratchDirectory(async (scratchDirectory) => {
        await mkdir(path.join(scratchDirectory, "parts"), { mode: 0o700 });
        const found = await workers.runApart<PartitionTask, Partition>(
          new URL("./partition.worker.ts", import.meta.url),
          {
            file,
            scratchDirectory,
            spec,
            recipe,
            keyColumns,
            minRows: spec.minRows ?? defaultMinRows,
            levels: spec.fallback === "parent" ? levels : levels.slice(0, 1),
          },
          { signal, memoryMiB: 2048, onProgress },
        );
        const parts: string[][] = [];
        for (const [task, files] of found.files.entries()) {
          const own: string[] = [];
          for (const [index, name] of files.entries()) {
            const key = `${folderOf(jobId)}/rows/${task}-${index}.parquet`;
            const body = Readable.toWeb(createReadStream(name)) as ReadableStream<Uint8Array>;
            await blobs.put(key, body, { signal });
            own.push(key);
          }
          parts.push(own);
        }
        return { ...found, parts };
      }),
    );
    const { keys, parts, rowsWithoutKey, withoutTarget } = partition;
    const written: Plan = { ...given, keyColumns, keys, parts, rowsWithoutKey, withoutTarget };
    await blobs.put(planKey(jobId), new TextEncoder().encode(JSON.stringify(written)), { signal });
    return written;
  }
}

/** Everything that a training keeps beside its run; nobody needs it once the run has the models. */
export async function removeParts(blobs: BlobStore, jobId: string): Promise<void> {
  for (;;) {
    const { blobs: found } = await blobs.list(`${folderOf(jobId)}/`);
    if (found.length === 0) return;
    for (const { key } of found) await blobs.delete(key);
  }
}

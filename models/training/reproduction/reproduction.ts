import { createHash } from "node:crypto";
import { z } from "zod";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import { conflict, invalid, notFound } from "../../../shared/errors.ts";
import type { JobContext, JobKind, WorkerPool } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import type { Datasets } from "../../datasets/index.ts";
import type { Tracking } from "../../tracking/index.ts";
import type { FitResult, FitTask } from "../fitting/fit.worker.ts";
import { fitMemoryMiB, planOf } from "../fitting/fit-job.ts";
import { TrainingSpec } from "../schemas.ts";
import type { TrainingStore } from "../store.ts";
import { environmentOf } from "./environment.ts";
import { recordFile } from "./record.ts";

export interface ReproductionOptions {
  readonly store: TrainingStore;
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
  readonly datasets: Pick<Datasets, "getVersion" | "withRows">;
  readonly tracking: Pick<Tracking, "resolveArtifacts">;
  readonly codeVersion: string;
}

/** What a run keeps beside its model, so that it can be made again. */
export const RunRecord = z.object({
  spec: TrainingSpec,
  codeVersion: z.string(),
  environment: z.record(z.string(), z.string()),
});
export type RunRecord = z.infer<typeof RunRecord>;

export const ReproductionResult = z.object({
  runId: z.string(),
  identical: z.boolean().describe("Whether the new ONNX file has the same bytes"),
  before: z.object({ sha256: z.string(), sizeBytes: z.int() }),
  after: z.object({ sha256: z.string(), sizeBytes: z.int() }),
  differences: z
    .array(z.object({ what: z.string(), before: z.string(), after: z.string() }))
    .describe(
      "What is not as it was: `codeVersion`, or a part of the environment. The data is the same version",
    ),
  metrics: z.object({
    before: z.record(z.string(), z.number().nullable()),
    after: z.record(z.string(), z.number().nullable()),
  }),
});
export type ReproductionResult = z.infer<typeof ReproductionResult>;

export const ReproductionSpec = z.object({ training: z.string(), runId: z.string() });
type Spec = z.infer<typeof ReproductionSpec>;

/** Repeats a run from what it kept, and holds the new model against the old one, byte by byte. Registers nothing. */
export function reproductionJob(options: ReproductionOptions): JobKind<Spec, ReproductionResult> {
  return {
    kind: "training.reproduce",
    spec: ReproductionSpec,
    role: "contributor",
    run: (context) => reproduce(options, context),
  };
}

/** @throws notFound, conflict or invalid, saying why a run cannot be repeated */
export async function recordOf(
  { store, blobs, tracking }: Pick<ReproductionOptions, "store" | "blobs" | "tracking">,
  runId: string,
): Promise<{ training: string; record: RunRecord; prefix: string }> {
  const training = await store.ofRun(runId);
  if (training === undefined) throw notFound(`No training made a run "${runId}".`);
  const content = await blobs.get(await tracking.resolveArtifacts(`runs:/${runId}/${recordFile}`));
  if (content === null) {
    throw conflict(
      `The run ${runId} has no ${recordFile}: it did not get as far, or was made before runs kept what they were made from.`,
    );
  }
  const parsed = RunRecord.safeParse(await new Response(content.stream).json());
  if (!parsed.success) throw conflict(`The ${recordFile} of the run ${runId} is not one that can be read.`);
  if (parsed.data.spec.partitionBy !== undefined) {
    throw invalid("A run with partitionBy is not repeated as a whole; submit its specification again.");
  }
  const prefix = await tracking.resolveArtifacts(`runs:/${runId}/model`);
  return { training: training.job_id, record: parsed.data, prefix };
}

async function reproduce(
  options: ReproductionOptions,
  { spec: { runId }, signal, progress, log }: JobContext<Spec>,
): Promise<ReproductionResult> {
  const { blobs, workers, datasets, codeVersion } = options;
  const { record, prefix } = await recordOf(options, runId);
  const read = async (path: string) => {
    const content = await blobs.get(`${prefix}/${path}`);
    if (content === null) throw conflict(`The run ${runId} has no model/${path} to compare with.`);
    return new Uint8Array(await new Response(content.stream).arrayBuffer());
  };
  const old = await read("model.onnx");
  const { holdout } = JSON.parse(new TextDecoder().decode(await read("metrics.json"))) as {
    holdout: ReproductionResult["metrics"]["before"];
  };
  const version = await datasets.getVersion(record.spec.dataset, record.spec.version);
  const { recipe, algorithm, settled } = planOf(record.spec, version);
  const fit = await datasets.withRows(version, (file) =>
    inScratchDirectory((scratchDirectory) =>
      workers.runApart<FitTask, FitResult>(
        new URL("../fitting/fit.worker.ts", import.meta.url),
        // The code version stands in the file: what is asked is whether today's code makes what that one made.
        { file, scratchDirectory, spec: settled, algorithm, recipe, codeVersion: record.codeVersion },
        { signal, memoryMiB: fitMemoryMiB, onProgress: (done, message) => progress(0.95 * done, message) },
      ),
    ),
  );
  const now: Record<string, string> = { codeVersion, ...environmentOf() };
  const then: Record<string, string> = { codeVersion: record.codeVersion, ...record.environment };
  const differences = [...new Set([...Object.keys(then), ...Object.keys(now)])].flatMap((what) => {
    const [before, after] = [then[what] ?? "not recorded", now[what] ?? "not there"];
    return before === after ? [] : [{ what, before, after }];
  });
  const [before, after] = [describe(old), describe(fit.model)];
  const identical = before.sha256 === after.sha256;
  log(
    identical
      ? `The model has the same ${after.sizeBytes} bytes again.`
      : `The model has other bytes. ${differences.length === 0 ? "Code version, data and environment are the same." : `Different: ${differences.map(({ what }) => what).join(", ")}.`}`,
  );
  return {
    runId,
    identical,
    before,
    after,
    differences,
    metrics: { before: holdout, after: { ...fit.metrics } },
  };
}

function describe(bytes: Uint8Array): { sha256: string; sizeBytes: number } {
  return { sha256: createHash("sha256").update(bytes).digest("hex"), sizeBytes: bytes.byteLength };
}

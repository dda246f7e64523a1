import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import { isKetlineError } from "../../../shared/errors.ts";
import { allows } from "../../../shared/identity/index.ts";
import type { JobContext, WorkerPool } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import type { Datasets } from "../../datasets/index.ts";
import type { ModelVersion, Registry } from "../../registry/index.ts";
import type { CompareResult, CompareTask } from "../comparison/compare.worker.ts";
import { decide } from "../comparison/decision.ts";
import type { Baselines, Decision, TrainingSpec } from "../schemas.ts";

export interface PromotionOptions {
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
  readonly datasets: Pick<Datasets, "getVersion" | "withRows">;
  readonly registry: Pick<Registry, "getByAlias" | "setAlias" | "artifactPrefix" | "manifest">;
}

export interface Challenger {
  readonly name: string;
  readonly model: Uint8Array;
  readonly holdoutRows: number;
  readonly baselines: Baselines;
  /** How it stands against the champion, where that is known already. */
  readonly compareWith?: (champion: ModelVersion) => CompareResult;
  /** Registers it, once, with the decision as it stands then. */
  readonly register: (decision: Decision) => Promise<number>;
}

/** As for the route that moves an alias. */
const aliasRole = "operator";

const modelFile = "model.onnx";

/** Others may move the alias while models are compared; then the comparison is made again, so many times. */
const maxTries = 5;

/**
 * Compares a new model with the one that holds the alias, on the same holdout, registers it, and moves the alias if the
 * policy says so and nobody else has moved it meanwhile.
 */
export async function promote(
  options: PromotionOptions,
  context: JobContext<TrainingSpec>,
  challenger: Challenger,
): Promise<{ version: number; decision: Decision }> {
  const { registry } = options;
  const { name } = challenger;
  const { promotion } = context.spec;
  for (let attempt = 1; ; attempt++) {
    const champion = await registry.getByAlias(name, promotion.alias);
    const result =
      champion === null
        ? null
        : (challenger.compareWith?.(champion) ?? (await compare(options, context, champion, challenger)));
    // Asked now, when the deed is done: hours may have passed since the job was submitted.
    const actor = await context.actorNow();
    const wanted = decide(promotion, champion?.version ?? null, result, challenger.baselines);
    const decision =
      wanted.promoted && !allows(actor, aliasRole)
        ? {
            ...wanted,
            promoted: false,
            reason: `${actor.name} has the role ${actor.role}; moving ${promotion.alias} needs ${aliasRole}. Otherwise: ${wanted.reason}`,
          }
        : wanted;
    const version = await challenger.register(decision);
    if (!decision.promoted || champion?.version === version) return { version, decision };
    context.signal.throwIfAborted();
    try {
      await registry.setAlias(name, promotion.alias, version, {
        actor,
        reason: decision.reason,
        expectedVersion: champion?.version ?? null,
      });
      return { version, decision };
    } catch (error) {
      if (!isKetlineError(error, "precondition_failed") || attempt === maxTries) throw error;
      context.log(`The alias ${promotion.alias} moved meanwhile; comparing again.`);
    }
  }
}

async function compare(
  { blobs, workers, datasets, registry }: PromotionOptions,
  context: JobContext<TrainingSpec>,
  champion: ModelVersion,
  challenger: Challenger,
): Promise<CompareResult> {
  const { spec, signal } = context;
  const key = await modelKey(registry, champion);
  if (key === null || (await blobs.stat(key)) === null) {
    return { kind: "incomparable", reason: "its folder has no model.onnx" };
  }
  const championFile = await blobs.localFile(key);
  try {
    const manifest = await registry.manifest(champion.name, champion.version);
    const registered = manifest?.find(({ path }) => path === modelFile);
    if (manifest !== null && registered?.sha256 !== (await sha256Of(championFile.path))) {
      return { kind: "incomparable", reason: "its model.onnx has other bytes than were registered" };
    }
    return await datasets.withRows(spec, (file) =>
      withChampionRows(datasets, champion, (championRows) =>
        inScratchDirectory((scratchDirectory) =>
          workers.runApart<CompareTask, CompareResult>(
            new URL("../comparison/compare.worker.ts", import.meta.url),
            {
              file,
              scratchDirectory,
              spec,
              challenger: challenger.model,
              championFile: championFile.path,
              championRows,
              rows: challenger.holdoutRows,
            },
            { signal, onProgress: (done, message) => context.progress(0.85 + 0.1 * done, message) },
          ),
        ),
      ),
    );
  } finally {
    await championFile[Symbol.asyncDispose]();
  }
}

/** The rows that the champion's data set version holds; null when it does not say which, or they are gone. */
async function withChampionRows<Result>(
  datasets: PromotionOptions["datasets"],
  { tags }: ModelVersion,
  work: (file: string | null) => Promise<Result>,
): Promise<Result> {
  const [dataset, version] = [tags["ketline.dataset"], tags["ketline.dataset_version"]];
  if (dataset === undefined || version === undefined) return work(null);
  const found = await foundOrNull(datasets.getVersion(dataset, version));
  return found === null || found.state !== "ready" ? work(null) : datasets.withRows(found, work);
}

async function foundOrNull<Found>(finding: Promise<Found>): Promise<Found | null> {
  try {
    return await finding;
  } catch (error) {
    if (isKetlineError(error, "not_found") || isKetlineError(error, "invalid")) return null;
    throw error;
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(file)) hash.update(bytes);
  return hash.digest("hex");
}

/** Null for a version whose files Ketline does not keep. */
async function modelKey(
  registry: Pick<Registry, "artifactPrefix">,
  { name, version }: ModelVersion,
): Promise<string | null> {
  try {
    return `${await registry.artifactPrefix(name, version)}/${modelFile}`;
  } catch (error) {
    if (isKetlineError(error, "invalid") || isKetlineError(error, "not_found")) return null;
    throw error;
  }
}

import { randomUUID } from "node:crypto";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { Config } from "../../../shared/config.ts";
import { conflict, isKetlineError } from "../../../shared/errors.ts";
import type { JobContext, JobKind, WorkerPool } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import { redactText } from "../../../shared/telemetry/index.ts";
import type { Datasets, DatasetVersion } from "../../datasets/index.ts";
import type { Registry } from "../../registry/index.ts";
import type { Tracking } from "../../tracking/index.ts";
import { type Recipe, recipeOf, withRowKey } from "../data/recipe.ts";
import { baselinesText } from "../evaluation/baselines.ts";
import { promote } from "../evaluation/promotion.ts";
import { modelFolder } from "../export/model-folder.ts";
import { environmentOf } from "../reproduction/environment.ts";
import { recordFile } from "../reproduction/record.ts";
import { type Algorithm, type Decision, type TrainingResult, TrainingSpec } from "../schemas.ts";
import type { TrainingStore } from "../store.ts";
import type { FitResult, FitTask } from "./fit.worker.ts";

export interface FitJobOptions {
  readonly store: TrainingStore;
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
  readonly datasets: Pick<Datasets, "getVersion" | "withRows">;
  readonly tracking: Pick<
    Tracking,
    "ensureExperiment" | "createRun" | "logBatch" | "logDataset" | "putArtifact" | "endRun" | "failRun"
  >;
  readonly registry: Pick<
    Registry,
    | "ensureModel"
    | "createVersion"
    | "listVersions"
    | "getByAlias"
    | "setAlias"
    | "artifactPrefix"
    | "manifest"
  >;
  readonly clock: Clock;
  readonly config: Pick<Config, "codeVersion">;
}

type Context = JobContext<TrainingSpec>;

/** What is known of a training once its model is stored: enough to go on from there after a crash. */
interface Fitted {
  readonly experimentId: string;
  readonly runId: string;
  readonly model: Uint8Array;
  readonly rows: TrainingResult["rows"];
  readonly metrics: TrainingResult["metrics"];
  readonly baselines: TrainingResult["baselines"];
}

/** Fits a model, proves its graph, logs the run, registers a version and compares it with the champion. */
export function fitJob(options: FitJobOptions): JobKind<TrainingSpec, TrainingResult> {
  return {
    kind: "training.fit",
    spec: TrainingSpec,
    role: "contributor",
    run: (context) => train(options, context),
    async putRight({ jobId, reason }) {
      const runId = (await options.store.get(jobId))?.run_id ?? null;
      if (runId !== null) await options.tracking.failRun(runId, reason);
    },
  };
}

/**
 * Checks a request against its data set.
 *
 * @throws invalid when it does not fit the columns; conflict when the version is not ready.
 */
export function planOf(
  spec: TrainingSpec,
  version: DatasetVersion,
): { recipe: Recipe; algorithm: Algorithm; settled: TrainingSpec } {
  requireReady(version);
  const recipe = recipeOf(spec, version.columns);
  const settled = { ...withRowKey(spec, version.columns), version: version.version };
  return { recipe, algorithm: spec.algorithm ?? defaultAlgorithm(spec.task), settled };
}

/** @throws conflict */
export function requireReady(version: DatasetVersion): void {
  if (version.state === "ready") return;
  const why = version.error === null ? "" : `: ${version.error}`;
  throw conflict(
    `Version ${version.version} of "${version.dataset}" is ${version.state}${why}. Only ready versions are trained on.`,
  );
}

function defaultAlgorithm(task: TrainingSpec["task"]): Algorithm {
  const linear = { l2: 1, minLevelRows: 20, maxLevels: 500, impute: "mean" } as const;
  return task === "binary"
    ? { kind: "logistic", ...linear, classWeights: "none" }
    : { kind: "linear", ...linear };
}

async function train(options: FitJobOptions, given: Context): Promise<TrainingResult> {
  const { datasets, tracking, store } = options;
  const { jobId, actor } = given;
  const before = (await store.get(jobId))?.run_id ?? null;
  const name = given.spec.registeredModel ?? null;
  if (before !== null && (await versionOfRun(options, name, before)) === undefined)
    await tracking.failRun(before, goneReason);
  const version = await datasets.getVersion(given.spec.dataset, given.spec.version);
  const { recipe, algorithm, settled: spec } = planOf(given.spec, version);
  const context: Context = { ...given, spec };
  const experimentId = await tracking.ensureExperiment(spec.experiment ?? name ?? spec.dataset, actor);
  const resumed = before === null ? null : await storedFit(options, name, before, experimentId);
  if (resumed !== null) context.log(`Run ${resumed.runId} is complete already; going on with its model.`);
  const runId = resumed?.runId ?? (await startRun(options, context, version, experimentId));
  try {
    const fitted =
      resumed ?? (await fitAndLog(options, context, version, recipe, algorithm, experimentId, runId));
    const { model, decision } = await register(options, context, fitted);
    await tracking.endRun(runId, "FINISHED");
    const { rows, metrics, baselines } = fitted;
    return {
      dataset: spec.dataset,
      version: version.version,
      experimentId,
      runId,
      rows,
      metrics,
      baselines,
      model,
      decision,
    };
  } catch (error) {
    const { signal } = context;
    const cause: unknown = signal.aborted ? signal.reason : error;
    const reason = redactText(cause instanceof Error ? cause.message : String(cause));
    await tracking.failRun(runId, reason, signal.aborted ? "KILLED" : "FAILED");
    throw error;
  }
}

/** Of a run whose attempt had no time to end it. */
export const goneReason = "The process that trained went away in the middle; another attempt follows.";

export async function startRun(
  { tracking, store, config }: FitJobOptions,
  { jobId, spec, actor }: Context,
  version: DatasetVersion,
  experimentId: string,
  kind: "training.fit" | "training.many" = "training.fit",
): Promise<string> {
  // Written down before it is made, so that no crash leaves a run that no training names.
  const runId = randomUUID().replaceAll("-", "");
  await store.update(jobId, { run_id: runId });
  await tracking.createRun({
    runId,
    experimentId,
    ...(spec.runName === undefined ? {} : { name: spec.runName }),
    tags: {
      ...spec.tags,
      "mlflow.source.type": "JOB",
      "mlflow.source.name": kind,
      "ketline.job": jobId,
      "ketline.dataset": spec.dataset,
      "ketline.dataset_version": version.version,
      "ketline.code_version": config.codeVersion,
    },
    actor,
  });
  return runId;
}

async function fitAndLog(
  options: FitJobOptions,
  context: Context,
  version: DatasetVersion,
  recipe: Recipe,
  algorithm: Algorithm,
  experimentId: string,
  runId: string,
): Promise<Fitted> {
  const { datasets, workers, tracking, clock } = options;
  const { signal } = context;
  const { spec } = context;
  context.log(
    `Training a ${algorithm.kind} model of "${recipe.target.column}" from ${recipe.features.length} features of ${spec.dataset} ${version.version.slice(0, 12)} (run ${runId}).`,
  );
  const times = version.columns.filter(({ kind }) => kind === "time").map(({ name }) => `"${name}"`);
  if ("holdoutFraction" in spec.split && times.length > 0) {
    context.log(
      `The holdout is drawn at random although the data has times (${times.join(", ")}): where rows follow each other, it flatters the model.`,
    );
  }
  await tracking.logBatch(runId, { params: parametersOf(spec, algorithm) });
  await tracking.logDataset(runId, {
    name: spec.dataset,
    digest: version.version.slice(0, 32),
    sourceType: "ketline",
    source: JSON.stringify({ dataset: spec.dataset, version: version.version }),
    schema: JSON.stringify({ mlflow_colspec: version.columns.map(({ name, type }) => ({ name, type })) }),
    profile: JSON.stringify({ num_rows: version.rows }),
    context: "training",
  });
  const fit = await datasets.withRows(version, (file) =>
    inScratchDirectory((scratchDirectory) =>
      workers.runApart<FitTask, FitResult>(
        new URL("./fit.worker.ts", import.meta.url),
        { file, scratchDirectory, spec, algorithm, recipe, codeVersion: options.config.codeVersion },
        {
          signal,
          memoryMiB: fitMemoryMiB,
          onProgress: (done, message) => context.progress(0.8 * done, message),
        },
      ),
    ),
  );
  for (const note of fit.notes) context.log(note);
  context.log(baselinesText(fit.baselines));
  context.log(
    `${fit.rows.train} training rows, ${fit.rows.holdout} of the holdout; ${metricsText(fit.metrics)}. ` +
      `Graph and trainer agree to ${fit.disagreement.toExponential(1)}.`,
  );
  context.progress(0.82, "storing the model");
  const record = { spec, codeVersion: options.config.codeVersion, environment: environmentOf() };
  const recorded = new TextEncoder().encode(JSON.stringify(record));
  await tracking.putArtifact(runId, recordFile, recorded, { contentType: "application/json", signal });
  for (const { path, content, contentType } of modelFolder(recipe, fit, {
    runId,
    nowMs: clock(),
    codeVersion: options.config.codeVersion,
  })) {
    const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await tracking.putArtifact(runId, `model/${path}`, body, { contentType, signal });
  }
  await tracking.logBatch(runId, {
    params: fit.parameters,
    metrics: [
      ...fit.losses.map((value, index) => ({ key: "train_loss", value, step: index + 1 })),
      ...Object.entries(fit.metrics).flatMap(([key, value]) =>
        value === null ? [] : [{ key: `holdout_${key}`, value }],
      ),
      ...fit.baselines.baselines.map(({ name, loss }) => ({
        key: `baseline_${name.replaceAll(" ", "_")}_${fit.baselines.metric}`,
        value: loss,
      })),
      ...Object.entries(fit.intervals).flatMap(([key, { low, high }]) => [
        { key: `holdout_${key}_low`, value: low },
        { key: `holdout_${key}_high`, value: high },
      ]),
      { key: "train_rows", value: fit.rows.train },
      { key: "graph_disagreement", value: fit.disagreement },
    ],
  });
  return {
    experimentId,
    runId,
    model: fit.model,
    rows: fit.rows,
    metrics: fit.metrics,
    baselines: fit.baselines,
  };
}

async function register(
  options: FitJobOptions,
  context: Context,
  fitted: Fitted,
): Promise<Pick<TrainingResult, "model" | "decision">> {
  const { registry, tracking, store } = options;
  const { spec, actor, jobId } = context;
  const { runId } = fitted;
  const name = spec.registeredModel;
  if (name === undefined) return { model: null, decision: null };
  await registry.ensureModel(name, actor);
  const { version, decision } = await promote(options, context, {
    name,
    model: fitted.model,
    holdoutRows: fitted.rows.holdout,
    baselines: fitted.baselines,
    async register(decision) {
      const existing = await versionOfRun(options, name, runId);
      const found =
        existing ??
        (
          await registry.createVersion({
            name,
            source: `runs:/${runId}/model`,
            runId,
            tags: { ...provenance(spec, options.config.codeVersion), ...decisionTags(decision) },
            description: `${spec.task} of "${spec.target.column}", trained on ${spec.dataset}`,
            actor,
          })
        ).version;
      await store.update(jobId, { model_version: found });
      return found;
    },
  });
  await tracking.logBatch(runId, {
    tags: { "ketline.model": name, "ketline.model_version": String(version), ...decisionTags(decision) },
  });
  context.log(`Version ${version} of ${name}: ${decision.reason}`);
  return { model: { name, version }, decision };
}

export async function versionOfRun(
  { registry }: FitJobOptions,
  name: string | null,
  runId: string,
): Promise<number | undefined> {
  if (name === null) return undefined;
  try {
    return (await registry.listVersions(name)).find((version) => version.runId === runId)?.version;
  } catch (error) {
    if (isKetlineError(error, "not_found")) return undefined;
    throw error;
  }
}

/** The model of an earlier attempt of this job that was registered, and then interrupted. */
async function storedFit(
  options: FitJobOptions,
  name: string | null,
  runId: string,
  experimentId: string,
): Promise<Fitted | null> {
  const version = await versionOfRun(options, name, runId);
  if (name === null || version === undefined) return null;
  const prefix = await options.registry.artifactPrefix(name, version);
  const read = async (path: string) => {
    const content = await options.blobs.get(`${prefix}/${path}`);
    if (content === null) throw new Error(`The model folder of version ${version} has no ${path}.`);
    return new Response(content.stream);
  };
  const model = new Uint8Array(await (await read("model.onnx")).arrayBuffer());
  const { rows, holdout, baselines } = (await (await read("metrics.json")).json()) as {
    rows: Fitted["rows"];
    holdout: Fitted["metrics"];
    baselines?: Fitted["baselines"];
  };
  // Written by a version of Ketline that knew no baselines: then it is fitted again.
  return baselines === undefined ? null : { experimentId, runId, model, rows, metrics: holdout, baselines };
}

export function provenance(spec: TrainingSpec, codeVersion: string): Record<string, string> {
  return {
    "ketline.dataset": spec.dataset,
    "ketline.dataset_version": spec.version,
    "ketline.code_version": codeVersion,
  };
}

export function decisionTags({ promoted, reason, comparison }: Decision): Record<string, string> {
  return {
    "ketline.promoted": String(promoted),
    "ketline.promotion_reason": reason,
    ...(comparison === null ? {} : { "ketline.comparison": JSON.stringify(comparison) }),
  };
}

/** What the process of a fit may hold: the columns (`data/training-rows.ts` bounds them), DuckDB and the graph. */
export const fitMemoryMiB = 4096;
/** MLflow keeps parameters of up to 6,000 characters. */
const longestParameter = 6000;

export function parametersOf(spec: TrainingSpec, algorithm: Algorithm): Record<string, string> {
  const { kind, ...settings } = algorithm;
  const values: Record<string, unknown> = {
    task: spec.task,
    algorithm: kind,
    target: spec.target,
    features: spec.features.map(({ name, column }) => name ?? column),
    derive: spec.derive,
    split: spec.split,
    where: spec.where,
    sample: spec.sample ?? null,
    ...settings,
  };
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      (typeof value === "string" ? value : JSON.stringify(value)).slice(0, longestParameter),
    ]),
  );
}

function metricsText(metrics: TrainingResult["metrics"]): string {
  const shown = "logLoss" in metrics ? (["logLoss", "auc"] as const) : (["rmse", "r2"] as const);
  return shown
    .map(
      (key) =>
        `${key} ${Number((metrics as Record<string, number | null>)[key] ?? Number.NaN).toPrecision(4)}`,
    )
    .join(", ");
}

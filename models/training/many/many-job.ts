import { setTimeout as pause } from "node:timers/promises";
import { deserialize, serialize } from "node:v8";
import { z } from "zod";
import { invalid, isKetlineError, unavailable } from "../../../shared/errors.ts";
import type { JobContext, JobKind, Jobs } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import { redactText } from "../../../shared/telemetry/index.ts";
import type { DatasetVersion } from "../../datasets/index.ts";
import { baselinesText } from "../evaluation/baselines.ts";
import { promote } from "../evaluation/promotion.ts";
import { modelFolder } from "../export/model-folder.ts";
import type { FitResult, FitTask } from "../fitting/fit.worker.ts";
import {
  decisionTags,
  type FitJobOptions,
  fitMemoryMiB,
  goneReason,
  parametersOf,
  planOf,
  provenance,
  startRun,
  versionOfRun,
} from "../fitting/fit-job.ts";
import { type TrainingResult, TrainingSpec } from "../schemas.ts";
import { type ChampionModels, openChampion } from "./champion.ts";
import { bundleFolder, type Gathered, gather, indexFile } from "./gathering.ts";
import { keyColumnsOf } from "./key-columns.ts";
import { folderOf, type Plan, planTraining, readPlan, removeParts } from "./plan.ts";
import type { ManyStore } from "./store.ts";
import { type TaskOptions, workOnTasks } from "./tasks.ts";

export interface ManyOptions extends FitJobOptions {
  readonly many: ManyStore;
  readonly jobs: Pick<Jobs, "submit" | "get">;
}

type Context = JobContext<TrainingSpec>;

const helpKindName = "training.help";
const HelpSpec = z.object({ training: z.string() });
/** Jobs that call other instances to a training; each works on one task at a time. */
const maxHelpers = 16;
const pollMs = 500;
/** Of the global model. */
const maxGlobalRows = 200_000;

/** Trains a model for each key and one for all the others, and registers them as one version. */
export function manyJobs(options: ManyOptions): {
  readonly many: JobKind<TrainingSpec, TrainingResult>;
  readonly help: JobKind<z.infer<typeof HelpSpec>, { tasks: number }>;
} {
  const help = helpKind(options);
  return {
    help,
    many: {
      kind: "training.many",
      spec: TrainingSpec,
      role: "contributor",
      timeoutMs: 6 * 3600_000,
      maxAttempts: 10,
      run: (context) => train(options, help, context),
      async putRight({ jobId, reason }) {
        const runId = (await options.store.get(jobId))?.run_id ?? null;
        if (runId !== null) await options.tracking.failRun(runId, reason);
      },
    },
  };
}

/** Checks what an ordinary training has not. @throws invalid */
export function checkMany(spec: TrainingSpec, version: DatasetVersion): void {
  const keys = keyColumnsOf(spec.partitionBy ?? [], version.columns, spec.target.column);
  if (spec.slices.length > 0)
    throw invalid("slices: with partitionBy each key is evaluated by itself; leave them out.", {
      field: "slices",
    });
  for (const { name: feature, column } of spec.features) {
    const name = feature ?? column;
    const key = keys.find((one) => one.name === name);
    if (key === undefined) continue;
    const isSame = column === key.name;
    if (!isSame || key.kind !== "text") {
      throw invalid(
        `features: "${name}" is a key column too, and ${isSame ? `a key of the kind ${key.kind} is no such input` : "another column goes by its name"}; give the feature another name.`,
        { field: "features" },
      );
    }
  }
}

function helpKind(options: ManyOptions): JobKind<z.infer<typeof HelpSpec>, { tasks: number }> {
  return {
    kind: helpKindName,
    spec: HelpSpec,
    role: "contributor",
    maxAttempts: 2,
    timeoutMs: 6 * 3600_000,
    async run({ spec: { training }, signal, actor }) {
      const plan = await readPlan(options.blobs, training);
      if (plan === null) return { tasks: 0 };
      let tasks = 0;
      const over = new AbortController();
      const isOver = async () => {
        const { state } = await options.jobs.get(training);
        if (state !== "running" && state !== "queued") over.abort(new Error("The training is over."));
      };
      void actor;
      await isOver();
      try {
        await workOnTasks(taskOptions(options), {
          jobId: training,
          plan,
          champion: await championOf(options, plan),
          signal: AbortSignal.any([signal, over.signal]),
          async onTask() {
            tasks++;
            await isOver();
          },
        });
      } catch (error) {
        if (!over.signal.aborted) throw error;
      }
      return { tasks };
    },
  };
}

function taskOptions({ many, blobs, workers, clock, config }: ManyOptions): TaskOptions {
  return { many, blobs, workers, clock, codeVersion: config.codeVersion };
}

async function championOf(options: ManyOptions, plan: Plan): Promise<ChampionModels | null> {
  const name = plan.spec.registeredModel;
  if (name === undefined || plan.champion === null) return null;
  try {
    const found = await openChampion(options, name, plan);
    return typeof found === "string" ? null : found;
  } catch (error) {
    // A champion that was deleted meanwhile is asked no more.
    if (isKetlineError(error, "not_found") || isKetlineError(error, "invalid")) return null;
    throw error;
  }
}

async function train(
  options: ManyOptions,
  help: ReturnType<typeof helpKind>,
  given: Context,
): Promise<TrainingResult> {
  const { datasets, tracking, store, registry, many, blobs } = options;
  const { jobId, actor, signal } = given;
  const name = given.spec.registeredModel ?? null;
  const before = (await store.get(jobId))?.run_id ?? null;
  const registered = before === null ? undefined : await versionOfRun(options, name, before);
  if (before !== null && registered === undefined) await tracking.failRun(before, goneReason);
  const version = await datasets.getVersion(given.spec.dataset, given.spec.version);
  const { recipe, algorithm, settled: spec } = planOf(given.spec, version);
  checkMany(spec, version);
  const context: Context = { ...given, spec };
  const experimentId = await tracking.ensureExperiment(spec.experiment ?? name ?? spec.dataset, actor);
  const runId =
    registered !== undefined && before !== null
      ? before
      : await startRun(options, context, version, experimentId, "training.many");
  try {
    const champion =
      name === null ? null : await ignoreMissing(registry.getByAlias(name, spec.promotion.alias));
    const plan = await planTraining(
      options,
      jobId,
      version,
      { spec, recipe, algorithm, champion: champion?.version ?? null },
      { signal, onProgress: (done, message) => context.progress(0.1 * done, message) },
    );
    const planned = await many.counts(jobId);
    const tasks = await many.tasks(jobId);
    if (tasks.length === 0) {
      throw invalid(
        `None of the ${plan.keys.length} keys has ${spec.minRows ?? 500} rows with a target (minRows); lower it, or train one model without partitionBy.`,
        { field: "minRows" },
      );
    }
    context.log(
      `${plan.keys.length} keys, ${planned.fallback} of them with too few rows; ${tasks.length} tasks (run ${runId}).`,
    );
    const global = await globalModel(options, context, plan);
    const open = tasks.filter(({ state }) => state === "queued" || state === "running").length;
    for (let helper = 0; helper < Math.min(open - 1, maxHelpers); helper++) {
      const idempotencyKey = `${jobId}:${given.attempt}:${helper}`;
      await options.jobs.submit(help, { training: jobId }, { actor, idempotencyKey });
    }
    const report = async () => {
      const now = await many.tasks(jobId);
      const ended = now.filter(({ state }) => state === "done" || state === "failed").length;
      context.progress(0.2 + 0.65 * (ended / now.length), `${ended} of ${now.length} tasks`);
      return ended === now.length;
    };
    const models = await championOf(options, plan);
    while (!(await report())) {
      await workOnTasks(taskOptions(options), {
        jobId,
        plan,
        champion: models,
        signal,
        onTask: async () => void (await report()),
      });
      if (await report()) break;
      await pause(pollMs, undefined, { signal });
    }
    context.progress(0.86, "gathering the models");
    const gathered = await gather(blobs, plan, await many.tasks(jobId));
    const result = await finish(options, context, {
      plan,
      gathered,
      global,
      runId,
      version,
      experimentId,
    });
    await tracking.endRun(runId, "FINISHED");
    await removeParts(blobs, jobId);
    return result;
  } catch (error) {
    const cause: unknown = signal.aborted ? signal.reason : error;
    const reason = redactText(cause instanceof Error ? cause.message : String(cause));
    await tracking.failRun(runId, reason, signal.aborted ? "KILLED" : "FAILED");
    throw error;
  }
}

async function ignoreMissing<Found>(finding: Promise<Found>): Promise<Found | null> {
  try {
    return await finding;
  } catch (error) {
    if (isKetlineError(error, "not_found")) return null;
    throw error;
  }
}

/** One model of all rows, or a sample of them: it answers for every key that has none, and is what stock clients load. */
async function globalModel(options: ManyOptions, context: Context, plan: Plan): Promise<FitResult> {
  const { blobs, datasets, workers, config } = options;
  const { jobId, signal } = context;
  const key = `${folderOf(jobId)}/global.bin`;
  const known = await blobs.get(key);
  if (known !== null)
    return deserialize(new Uint8Array(await new Response(known.stream).arrayBuffer())) as FitResult;
  const { spec, algorithm, recipe } = plan;
  const { partitionBy: _, minRows: __, fallback: ___, ...whole } = spec;
  const full = plan.keys.filter(({ values }) => values.length === plan.keyColumns.length);
  const rows = full.reduce((sum, { trainRows, holdoutRows }) => sum + trainRows + holdoutRows, 0);
  const share = Math.min(1, maxGlobalRows / Math.max(1, rows)) * (spec.sample?.fraction ?? 1);
  const sampled = share < 1 ? { ...whole, sample: { seed: spec.sample?.seed ?? 1, fraction: share } } : whole;
  const fit = await datasets.withRows(spec, (file) =>
    inScratchDirectory((scratchDirectory) =>
      workers.runApart<FitTask, FitResult>(
        new URL("../fitting/fit.worker.ts", import.meta.url),
        { file, scratchDirectory, spec: sampled, algorithm, recipe, codeVersion: config.codeVersion },
        {
          signal,
          memoryMiB: fitMemoryMiB,
          onProgress: (done, message) => context.progress(0.1 + 0.1 * done, `model of all keys: ${message}`),
        },
      ),
    ),
  );
  await blobs.put(key, serialize(fit), { signal });
  return fit;
}

interface Finished {
  readonly plan: Plan;
  readonly gathered: Gathered;
  readonly global: FitResult;
  readonly runId: string;
  readonly version: DatasetVersion;
  readonly experimentId: string;
}

async function finish(options: ManyOptions, context: Context, finished: Finished): Promise<TrainingResult> {
  const { tracking, registry, blobs, store, clock, config } = options;
  const { spec, signal, actor, jobId } = context;
  const { plan, gathered, global, runId, version, experimentId } = finished;
  const { metrics, baselines, counts, comparison, worse } = gathered;
  if (metrics === null || baselines === null) {
    throw invalid(
      `Not one of ${plan.keys.length} keys could be learnt from; GET /api/v1/training/${jobId}/keys tells why of each.`,
    );
  }
  const known = await versionOfRun(options, spec.registeredModel ?? null, runId);
  if (known === undefined) {
    await tracking.logBatch(runId, {
      params: {
        ...parametersOf(spec, plan.algorithm),
        partitionBy: JSON.stringify(spec.partitionBy),
        fallback: spec.fallback ?? "global",
      },
    });
    await tracking.logDataset(runId, {
      name: spec.dataset,
      digest: version.version.slice(0, 32),
      sourceType: "ketline",
      source: JSON.stringify({ dataset: spec.dataset, version: version.version }),
      schema: JSON.stringify({ mlflow_colspec: version.columns.map(({ name, type }) => ({ name, type })) }),
      profile: JSON.stringify({ num_rows: version.rows }),
      context: "training",
    });
    const made = { runId, nowMs: clock(), codeVersion: config.codeVersion };
    for (const { path, content, contentType } of modelFolder(plan.recipe, global, made)) {
      const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await tracking.putArtifact(runId, `model/${path}`, body, { contentType, signal });
    }
    for (const [index, key] of gathered.bundleKeys.entries()) {
      const content = await blobs.get(key);
      if (content === null) throw unavailable(`The models of a task are gone (${key}).`);
      await tracking.putArtifact(
        runId,
        `model/${bundleFolder}/${gathered.index.bundles[index]}`,
        content.stream,
        { signal },
      );
      context.progress(0.87 + (0.08 * (index + 1)) / gathered.bundleKeys.length, "storing the models");
    }
    const encoded = new TextEncoder().encode(JSON.stringify(gathered.index));
    await tracking.putArtifact(runId, `model/${indexFile}`, encoded, {
      contentType: "application/json",
      signal,
    });
    const table = new TextEncoder().encode(gathered.table);
    await tracking.putArtifact(runId, "keys.csv", table, { contentType: "text/csv", signal });
    await tracking.logBatch(runId, {
      metrics: [
        ...Object.entries(metrics).flatMap(([key, value]) =>
          value === null ? [] : [{ key: `holdout_${key}`, value }],
        ),
        { key: "keys", value: plan.keys.length },
        { key: "keys_trained", value: counts.trained },
        { key: "keys_fallback", value: counts.fallback },
        { key: "keys_failed", value: counts.failed },
        { key: "train_rows", value: gathered.trainRows },
        { key: "graph_disagreement", value: gathered.disagreement },
        { key: `baseline_mean_of_each_key_${baselines.metric}`, value: baselines.baselines[0]?.loss ?? 0 },
        ...(worse === null ? [] : [{ key: "keys_worse_than_champion", value: worse }]),
      ],
    });
  }
  context.log(baselinesText(baselines));
  const rows = {
    train: gathered.trainRows,
    holdout: gathered.holdoutRows,
    withoutTarget: plan.withoutTarget,
  };
  const { rowsWithoutKey } = plan;
  const found = {
    dataset: spec.dataset,
    version: version.version,
    experimentId,
    runId,
    rows,
    metrics,
    baselines,
    keys: { total: plan.keys.length, ...counts, rowsWithoutKey, worse },
  };
  const name = spec.registeredModel;
  if (name === undefined) return { ...found, model: null, decision: null };
  await registry.ensureModel(name, actor);
  const why = plan.champion === null ? "" : await openChampion(options, name, plan);
  const promoted = await promote(options, context, {
    name,
    model: global.model,
    holdoutRows: gathered.holdoutRows,
    baselines,
    compareWith: (champion) => {
      if (champion.version !== plan.champion)
        return { kind: "incomparable", reason: "it took the alias while the keys were trained" };
      return (
        comparison ?? {
          kind: "incomparable",
          reason: typeof why === "string" ? why : "no key was trained in both",
        }
      );
    },
    async register(decision) {
      const existing = await versionOfRun(options, name, runId);
      const made =
        existing ??
        (
          await registry.createVersion({
            name,
            source: `runs:/${runId}/model`,
            runId,
            tags: {
              ...provenance(spec, config.codeVersion),
              ...decisionTags(decision),
              "ketline.keys": String(counts.trained),
              "ketline.key_columns": JSON.stringify(spec.partitionBy),
            },
            description: `${counts.trained} models for ${spec.task} of "${spec.target.column}", one for each ${spec.partitionBy?.join(", ")}, trained on ${spec.dataset}`,
            actor,
          })
        ).version;
      await store.update(jobId, { model_version: made });
      return made;
    },
  });
  const { decision } = promoted;
  const share = worse === null ? "" : ` ${worse} of ${counts.trained} keys are worse than before.`;
  await tracking.logBatch(runId, {
    tags: {
      "ketline.model": name,
      "ketline.model_version": String(promoted.version),
      ...decisionTags(decision),
    },
  });
  context.log(`Version ${promoted.version} of ${name}: ${decision.reason}${share}`);
  return { ...found, model: { name, version: promoted.version }, decision };
}

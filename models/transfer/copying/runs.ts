import type { DatasetInput, KeyValue, Metric, NewMetric, Run } from "../../../clients/mlflow/index.ts";
import type { Item } from "../store.ts";
import { copyArtifacts } from "./artifacts.ts";
import {
  type Copying,
  type ExperimentPair,
  ensureRun,
  fingerprintOf,
  forEachAtOnce,
  ifThere,
  isRefusal,
  sourceTags,
  targetRunOf,
} from "./copying.ts";

const parentTag = "mlflow.parentRunId";
/** So many values are gathered before they are sent: what one log-batch takes. */
const metricsAtOnce = 1000;

const viewOf = ({ request }: Copying) =>
  request.includeDeleted ? ("ALL" as const) : ("ACTIVE_ONLY" as const);

/** For the progress: how many runs there are to look at. */
export async function countRuns(copying: Copying, experimentIds: readonly string[]): Promise<number> {
  let count = 0;
  for (const id of experimentIds) {
    const search = { experiment_ids: [id], run_view_type: viewOf(copying), max_results: 5000 };
    for await (const _ of copying.source.runs.search(search, copying)) count++;
  }
  return count;
}

/** Copies an experiment's runs that are new or changed, oldest first, several at a time. */
export async function copyRuns(copying: Copying, pair: ExperimentPair): Promise<void> {
  const { source, ledger, request, signal, tally } = copying;
  const known = await ledger.below("run", pair.targetId);
  const runs = source.runs.search(
    {
      experiment_ids: [pair.sourceId],
      run_view_type: viewOf(copying),
      // What is added meanwhile comes last and moves no page.
      order_by: ["attributes.start_time ASC"],
      max_results: 500,
    },
    copying,
  );
  await forEachAtOnce(runs, request.concurrency, signal, async (run) => {
    try {
      await copyRun(copying, pair, run, known.get(run.info.run_id));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      tally.skip("runs", "run", run.info.run_id, error.message);
    }
    tally.runDone();
  });
}

/** Changes of what a search shows of a run mean that it is copied again; its files are always compared. */
async function copyRun(
  copying: Copying,
  pair: ExperimentPair,
  run: Run,
  item: Item | undefined,
): Promise<void> {
  const { ledger, tally, target } = copying;
  const { run_id } = run.info;
  const { artifact_uri: _, ...info } = run.info;
  const fingerprint = fingerprintOf({ ...run, info });
  let isUnchanged = item?.target_id != null && item.fingerprint === fingerprint;
  let copy = item?.target_id
    ? await ifThere(copying.target.runs.get(item.target_id, { signal: copying.signal }))
    : undefined;
  if (copy === undefined) {
    isUnchanged = false;
    if (item?.target_id) await ledger.forget("run", run_id);
    copy = await target.runs.get(await ensureRun(copying, pair, run), copying);
  }
  const targetId = copy.info.run_id;
  if (!isUnchanged) {
    if (copy.info.lifecycle_stage !== "active") await target.runs.restore(targetId, copying);
    await fill(copying, run, targetId);
  }
  const owner = {
    name: `run ${run_id}`,
    sourceRoot: run.info.artifact_uri,
    targetRoot: copy.info.artifact_uri,
  };
  await copyArtifacts(copying, owner);
  if (!isUnchanged) {
    if (run.info.lifecycle_stage !== "active") await target.runs.delete(targetId, copying);
    await ledger.settle("run", run_id, pair.targetId, targetId, fingerprint);
  }
  tally.count("runs", isUnchanged ? "unchanged" : "copied");
}

async function fill(copying: Copying, run: Run, targetId: string): Promise<void> {
  const { target, withLoggedModels } = copying;
  const { info, data, inputs, outputs } = run;
  await logAll(copying, run, targetId, await tagsOf(copying, run, targetId));
  await target.runs.logInputs(targetId, { datasets: inputs.dataset_inputs.map(datasetInput) }, copying);
  if (withLoggedModels) {
    const models = await modelsOf(copying, inputs.model_inputs);
    await target.runs.logInputs(targetId, { models: models.map(({ model_id }) => ({ model_id })) }, copying);
    await target.runs.logOutputs(targetId, await modelsOf(copying, outputs.model_outputs), copying);
  }
  const hasEnded = info.status !== "RUNNING" || info.end_time !== undefined;
  const isRenamed = data.tags.every(({ key }) => key !== "mlflow.runName") && info.run_name !== "";
  if (hasEnded || isRenamed) {
    const name = isRenamed ? { run_name: info.run_name } : {};
    await target.runs.update(targetId, { status: info.status, end_time: info.end_time, ...name }, copying);
  }
}

async function tagsOf(copying: Copying, run: Run, targetId: string): Promise<KeyValue[]> {
  const tags = new Map(run.data.tags.map(({ key, value }) => [key, value]));
  const parent = tags.get(parentTag);
  if (parent !== undefined) tags.set(parentTag, (await targetRunOf(copying, parent)) ?? parent);
  if (targetId !== run.info.run_id) tags.set(sourceTags.run, run.info.run_id);
  return Array.from(tags, ([key, value]) => ({ key, value }));
}

/** Parameters, tags and the whole history of each metric, in few calls. */
async function logAll(
  copying: Copying,
  run: Run,
  targetId: string,
  tags: readonly KeyValue[],
): Promise<void> {
  const { source, target } = copying;
  let metrics: NewMetric[] = [];
  let rest: { params: readonly KeyValue[]; tags: readonly KeyValue[] } = { params: run.data.params, tags };
  const send = async () => {
    await target.runs.logBatch(targetId, { ...rest, metrics }, copying);
    metrics = [];
    rest = { params: [], tags: [] };
  };
  for (const { key } of run.data.metrics) {
    for await (const metric of source.runs.metricHistory(run.info.run_id, key, copying)) {
      metrics.push(plainMetric(metric));
      if (metrics.length >= metricsAtOnce) await send();
    }
  }
  await send();
}

const plainMetric = ({ key, value, timestamp, step }: Metric): NewMetric => ({ key, value, timestamp, step });

function datasetInput({ tags, dataset }: DatasetInput) {
  const { name, digest, source_type, source, schema, profile } = dataset;
  return {
    tags: tags.map(({ key, value }) => ({ key, value })),
    dataset: { name, digest, source_type, source, schema, profile },
  };
}

/** Those logged models that are on the target, under their ids there. */
async function modelsOf<Model extends { readonly model_id: string; readonly step?: number }>(
  { ledger }: Copying,
  models: readonly Model[],
) {
  const found: { model_id: string; step: number }[] = [];
  for (const { model_id, step = 0 } of models) {
    const item = await ledger.find("logged-model", model_id);
    if (item?.target_id) found.push({ model_id: item.target_id, step });
  }
  return found;
}

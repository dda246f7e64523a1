import type { LoggedModel, NewMetric } from "../../../clients/mlflow/index.ts";
import type { Item } from "../store.ts";
import { copyArtifacts } from "./artifacts.ts";
import {
  type Copying,
  type ExperimentPair,
  fingerprintOf,
  forEachAtOnce,
  ifThere,
  isRefusal,
  sourceTags,
  targetRunOf,
} from "./copying.ts";

/** The target writes it itself when a version is made of the model. */
const versionsTag = "mlflow.modelVersions";

/** Copies an experiment's logged models, before the runs that name them. */
export async function copyLoggedModels(copying: Copying, pair: ExperimentPair): Promise<void> {
  const { source, ledger, request, signal, tally } = copying;
  if (!copying.withLoggedModels) return;
  const known = await ledger.below("logged-model", pair.targetId);
  const models = source.loggedModels.search({ experiment_ids: [pair.sourceId] }, copying);
  await forEachAtOnce(models, request.concurrency, signal, async (model) => {
    try {
      await copyLoggedModel(copying, pair, model, known.get(model.info.model_id));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      tally.skip("loggedModels", "logged model", model.info.model_id, error.message);
    }
  });
}

async function copyLoggedModel(
  copying: Copying,
  pair: ExperimentPair,
  model: LoggedModel,
  item: Item | undefined,
): Promise<void> {
  const { ledger, target, tally } = copying;
  const { info, data } = model;
  const tags = info.tags.filter(({ key }) => key !== versionsTag);
  const fingerprint = fingerprintOf([info.status, info.source_run_id, tags, data]);
  let copy = item?.target_id
    ? await ifThere(copying.target.loggedModels.get(item.target_id, { signal: copying.signal }))
    : undefined;
  const isUnchanged = copy !== undefined && item?.fingerprint === fingerprint;
  copy ??= await makeModel(copying, pair, model, item);
  const { model_id } = copy.info;
  if (!isUnchanged) {
    if (data.params.length > 0) await target.loggedModels.logParams(model_id, data.params, copying);
    const source = model_id === info.model_id ? [] : [{ key: sourceTags.model, value: info.model_id }];
    const allTags = [...tags.map(({ key, value }) => ({ key, value })), ...source];
    if (allTags.length > 0) await target.loggedModels.setTags(model_id, allTags, copying);
    await logMetrics(copying, model, model_id);
  }
  const owner = {
    name: `logged model ${info.model_id}`,
    sourceRoot: info.artifact_uri,
    targetRoot: copy.info.artifact_uri,
  };
  await copyArtifacts(copying, owner);
  if (!isUnchanged) {
    if (info.status === "LOGGED_MODEL_READY" || info.status === "LOGGED_MODEL_UPLOAD_FAILED") {
      await target.loggedModels.finalize(model_id, info.status, copying);
    }
    await ledger.settle("logged-model", info.model_id, pair.targetId, model_id, fingerprint);
  }
  tally.count("loggedModels", isUnchanged ? "unchanged" : "copied");
}

async function makeModel(
  copying: Copying,
  { targetId: experimentId }: ExperimentPair,
  { info }: LoggedModel,
  item: Item | undefined,
): Promise<LoggedModel> {
  const { ledger, target, adopt, signal } = copying;
  const settle = async (model: LoggedModel) => {
    await ledger.settle("logged-model", info.model_id, experimentId, model.info.model_id, null);
    return model;
  };
  if (item !== undefined) {
    // Begun by an attempt which ended before it could write down the model's id.
    for await (const model of target.loggedModels.search({ experiment_ids: [experimentId] }, copying)) {
      const source = model.info.tags.find(({ key }) => key === sourceTags.model);
      if (source?.value === info.model_id) return settle(model);
    }
  }
  await ledger.begin("logged-model", info.model_id, experimentId);
  const sourceRunId =
    info.source_run_id === "" ? "" : ((await targetRunOf(copying, info.source_run_id)) ?? "");
  const adopted = await adopt?.adoptLoggedModel({
    modelId: info.model_id,
    experimentId,
    name: info.name,
    modelType: info.model_type,
    sourceRunId,
  });
  if (adopted === true) return settle(await target.loggedModels.get(info.model_id, { signal }));
  return settle(
    await target.loggedModels.create(
      {
        experiment_id: experimentId,
        name: info.name,
        model_type: info.model_type,
        ...(sourceRunId === "" ? {} : { source_run_id: sourceRunId }),
        tags: [{ key: sourceTags.model, value: info.model_id }],
      },
      { signal },
    ),
  );
}

/** A metric of a model is logged to its run, with the model's id. */
async function logMetrics(copying: Copying, { data }: LoggedModel, modelId: string): Promise<void> {
  const byRun = new Map<string, NewMetric[]>();
  for (const { key, value, timestamp, step, run_id = "", dataset_name, dataset_digest } of data.metrics) {
    const metrics = byRun.get(run_id) ?? [];
    metrics.push({ key, value, timestamp, step, model_id: modelId, dataset_name, dataset_digest });
    byRun.set(run_id, metrics);
  }
  for (const [sourceRunId, metrics] of byRun) {
    const runId = sourceRunId === "" ? undefined : await targetRunOf(copying, sourceRunId);
    if (runId !== undefined) await copying.target.runs.logBatch(runId, { metrics }, copying);
  }
}

import { doubleJson, many, unlessEmpty } from "../../shared/mlflow/index.ts";
import type { ArtifactFile } from "./artifacts/artifacts.ts";
import type { Experiment, KeyValue } from "./store/experiments.ts";
import type { LoadedRun, RunDatasetRow } from "./store/loading.ts";
import type { LoadedModel, LoggedModelMetricRow } from "./store/logged-models.ts";
import type { MetricRow, RunRow } from "./store/tables.ts";

/** How the things of tracking look in MLflow's answers (mlflow/protos/service.proto). */

const pair = ({ key, value }: KeyValue) => ({ key, value });

export function experimentJson(experiment: Experiment & { readonly tags: readonly KeyValue[] }) {
  return {
    experiment_id: String(experiment.experiment_id),
    name: experiment.name,
    artifact_location: experiment.artifact_location,
    lifecycle_stage: experiment.lifecycle_stage,
    last_update_time: experiment.updated_ms,
    creation_time: experiment.created_ms,
    tags: many(experiment.tags.map(pair)),
  };
}

export function runInfoJson(run: RunRow) {
  return {
    run_uuid: run.run_id,
    experiment_id: String(run.experiment_id),
    run_name: run.name,
    user_id: run.user_id,
    status: run.status,
    start_time: run.start_ms,
    end_time: run.end_ms ?? undefined,
    artifact_uri: run.artifact_uri,
    lifecycle_stage: run.lifecycle_stage,
    run_id: run.run_id,
  };
}

export function runJson(run: LoadedRun) {
  const models = (direction: "input" | "output") =>
    run.models.filter((model) => model.direction === direction);
  const outputs = models("output");
  return {
    info: runInfoJson(run),
    data: {
      metrics: many(run.metrics.map(metricJson)),
      params: many(run.params.map(pair)),
      tags: many(run.tags.map(pair)),
    },
    inputs: {
      dataset_inputs: many(run.datasets.map(datasetInputJson)),
      model_inputs: many(models("input").map(({ model_id }) => ({ model_id }))),
    },
    outputs:
      outputs.length === 0
        ? undefined
        : { model_outputs: outputs.map(({ model_id, step }) => ({ model_id, step })) },
  };
}

function datasetInputJson(input: RunDatasetRow) {
  return {
    tags: many(JSON.parse(input.tags) as KeyValue[]),
    dataset: {
      name: input.name,
      digest: input.digest,
      source_type: input.source_type,
      source: input.source,
      schema: unlessEmpty(input.schema),
      profile: unlessEmpty(input.profile),
    },
  };
}

/** @param directory that its path is shown in; empty for a bare name */
export function fileJson(file: ArtifactFile, directory: string) {
  return {
    path: directory === "" ? file.name : `${directory}/${file.name}`,
    is_dir: file.isDirectory,
    file_size: file.sizeBytes,
  };
}

export function metricJson(metric: MetricRow) {
  return {
    key: metric.key,
    value: doubleJson(metric.is_nan === 1 ? Number.NaN : metric.value),
    timestamp: metric.timestamp,
    step: metric.step,
  };
}

export function loggedModelJson(model: LoadedModel) {
  return {
    info: {
      model_id: model.model_id,
      experiment_id: String(model.experiment_id),
      name: model.name,
      creation_timestamp_ms: model.created_ms,
      last_updated_timestamp_ms: model.updated_ms,
      artifact_uri: model.artifact_uri,
      status: model.status,
      model_type: model.model_type,
      source_run_id: model.source_run_id,
      tags: many(model.tags.map(pair)),
    },
    data: {
      params: many(model.params.map(pair)),
      metrics: many(model.metrics.map(loggedModelMetricJson)),
    },
  };
}

function loggedModelMetricJson(metric: LoggedModelMetricRow) {
  return {
    ...metricJson(metric),
    dataset_name: unlessEmpty(metric.dataset_name),
    dataset_digest: unlessEmpty(metric.dataset_digest),
    model_id: metric.model_id,
    run_id: metric.run_id,
  };
}

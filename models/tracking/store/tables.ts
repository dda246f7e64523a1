import type { Generated } from "kysely";

/** The tables of tracking. Their migrations stand in `../migrations.ts`. */
export interface TrackingTables {
  tracking_experiment: ExperimentRow;
  tracking_experiment_tag: { experiment_id: number; key: string; value: string };
  tracking_run: RunRow;
  tracking_param: { run_id: string; key: string; value: string };
  tracking_tag: { run_id: string; key: string; value: string };
  tracking_metric: MetricRow & { run_id: string };
  tracking_latest_metric: MetricRow & { run_id: string };
  tracking_dataset: DatasetRow;
  tracking_run_input: {
    run_id: string;
    dataset_id: string;
    /** JSON: `[{key, value}]`. */
    tags: string;
    /** The value of the tag `mlflow.data.context`, for filters. */
    context: string | null;
    /** In the order of logging. */
    position: number;
  };
  tracking_run_model: { run_id: string; model_id: string; direction: "input" | "output"; step: number };
  tracking_logged_model: LoggedModelRow;
  tracking_logged_model_param: { model_id: string; key: string; value: string };
  tracking_logged_model_tag: { model_id: string; key: string; value: string };
  tracking_logged_model_metric: MetricRow & {
    model_id: string;
    run_id: string;
    /** Empty when the metric belongs to no data set. */
    dataset_name: string;
    dataset_digest: string;
  };
  tracking_upload: UploadRow;
  tracking_garbage: GarbageRow;
}

/** An artifact on its way in parts (see `../artifacts/uploads.ts`). */
export interface UploadRow {
  upload_id: string;
  blob_key: string;
  part_count: number;
  state: "open" | "completed" | "aborted";
  created_ms: number;
  expires_ms: number;
}

/** What is left of a run, a logged model or an experiment whose own row is gone for good (see `../garbage`). */
export interface GarbageRow {
  kind: "run" | "model" | "experiment";
  id: string;
  experiment_id: number;
  /** Empty for an experiment. */
  artifact_uri: string;
  condemned_ms: number;
}

export type LifecycleStage = "active" | "deleted";
export type RunStatus = "RUNNING" | "SCHEDULED" | "FINISHED" | "FAILED" | "KILLED";

export interface ExperimentRow {
  experiment_id: Generated<number>;
  name: string;
  artifact_location: string;
  lifecycle_stage: LifecycleStage;
  created_ms: number;
  updated_ms: number;
}

export interface RunRow {
  run_id: string;
  experiment_id: number;
  name: string;
  user_id: string;
  status: RunStatus;
  start_ms: number;
  end_ms: number | null;
  lifecycle_stage: LifecycleStage;
  deleted_ms: number | null;
  artifact_uri: string;
}

/** NaN has the value 0 and is_nan 1: SQLite stores it as NULL otherwise. Infinities are the largest finite numbers. */
export interface MetricRow {
  key: string;
  value: number;
  is_nan: number;
  timestamp: number;
  step: number;
}

export interface DatasetRow {
  dataset_id: string;
  experiment_id: number;
  name: string;
  digest: string;
  source_type: string;
  source: string;
  schema: string | null;
  profile: string | null;
}

export interface LoggedModelRow {
  model_id: string;
  experiment_id: number;
  name: string;
  artifact_uri: string;
  created_ms: number;
  updated_ms: number;
  status: LoggedModelStatus;
  model_type: string;
  source_run_id: string;
  lifecycle_stage: LifecycleStage;
}

export const loggedModelStatuses = {
  LOGGED_MODEL_STATUS_UNSPECIFIED: 0,
  LOGGED_MODEL_PENDING: 1,
  LOGGED_MODEL_READY: 2,
  LOGGED_MODEL_UPLOAD_FAILED: 3,
} as const;
export type LoggedModelStatus = keyof typeof loggedModelStatuses;

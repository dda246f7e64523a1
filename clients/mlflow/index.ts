export type { ArtifactEntry, Artifacts, Download, UploadOptions } from "./artifacts.ts";
export type { MlflowAuth } from "./authorization.ts";
export { type Batch, batchLimits, type NewMetric } from "./batches.ts";
export type { ByteRange } from "./byte-ranges.ts";
export { createMlflowClient, type MlflowClient, type MlflowClientOptions } from "./client.ts";
export { isMissing, isMlflowError, MlflowError } from "./errors.ts";
export type { ExperimentSearch, Experiments, View } from "./experiments.ts";
export { type AliasMove, type KetlineExtension, ketlineExtension, type RegistryEvent } from "./ketline.ts";
export type { LoggedModelSearch, LoggedModels, NewLoggedModel } from "./logged-models.ts";
export type { ModelVersions, NewModelVersion } from "./model-versions.ts";
export type { CallOptions, Page, PageOptions } from "./pages.ts";
export type { RegisteredModels, RegistrySearch } from "./registered-models.ts";
export type { RetryOptions } from "./retries.ts";
export type { NewDatasetInput, NewRun, RunSearch, Runs } from "./runs.ts";
export { parseServerUrl, type ServerKind } from "./server-url.ts";
export type {
  DatasetInput,
  Experiment,
  KeyValue,
  LoggedModel,
  Metric,
  ModelVersion,
  RegisteredModel,
  Run,
  RunInfo,
  RunStatus,
} from "./wire.ts";

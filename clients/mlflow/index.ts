export { createMlflowClient, type MlflowClient, type MlflowClientOptions } from "./client.ts";
export { isMissing, isMlflowError, MlflowError } from "./errors.ts";
export { type AliasMove, type KetlineExtension, ketlineExtension, type RegistryEvent } from "./ketline.ts";
export type { CallOptions, Page, PageOptions } from "./pages.ts";
export type { ArtifactEntry, Artifacts, Download, UploadOptions } from "./resources/artifacts.ts";
export { type Batch, batchLimits, type NewMetric } from "./resources/batches.ts";
export type { ByteRange } from "./resources/byte-ranges.ts";
export type { ExperimentSearch, Experiments, View } from "./resources/experiments.ts";
export type { LoggedModelSearch, LoggedModels, NewLoggedModel } from "./resources/logged-models.ts";
export type { ModelVersions, NewModelVersion } from "./resources/model-versions.ts";
export type { RegisteredModels, RegistrySearch } from "./resources/registered-models.ts";
export type { NewDatasetInput, NewRun, RunSearch, Runs } from "./resources/runs.ts";
export type { MlflowAuth } from "./transport/authorization.ts";
export type { RetryOptions } from "./transport/retries.ts";
export { parseServerUrl, type ServerKind } from "./transport/server-url.ts";
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

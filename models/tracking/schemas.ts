import { z } from "zod";
import {
  double,
  enumeration,
  flag,
  int32,
  int64,
  keyValue,
  limits,
  list,
  longText,
  pageSize,
  pageTokenText,
  requiredText,
  text,
  textOf,
  viewType,
} from "../../shared/mlflow/index.ts";
import { loggedModelStatuses } from "./store/tables.ts";

/** The requests of MLflow's tracking API (mlflow/protos/service.proto). Answers are written by `wire.ts`. */

const runId = z.object({ run_id: requiredText });
const experimentId = z.object({ experiment_id: requiredText });
const page = { page_token: pageTokenText.optional() };
const filter = textOf(limits.filter).optional();
const pairs = list(keyValue, { max: limits.pairs });
const ids = list(text, { max: limits.ids });

export const CreateExperiment = z.object({
  name: requiredText,
  artifact_location: text.optional(),
  tags: pairs,
});
export const GetExperiment = experimentId;
export const GetExperimentByName = z.object({ experiment_name: requiredText });
export const UpdateExperiment = experimentId.extend({ new_name: requiredText });
export const SetExperimentTag = experimentId.extend({ key: requiredText, value: longText.default("") });
export const DeleteExperimentTag = experimentId.extend({ key: requiredText });
export const SearchExperiments = z.object({
  // 0 is what a query without it gives, and not a page size.
  max_results: int64.default(0).refine((value) => value >= 1 && value <= 50_000, {
    error: "it must be a positive integer of at most 50000",
  }),
  filter,
  order_by: list(text, { query: true }),
  view_type: viewType.default("ACTIVE_ONLY"),
  ...page,
});
export const SearchDatasets = z.object({ experiment_ids: ids });

export const runStatus = enumeration({ RUNNING: 1, SCHEDULED: 2, FINISHED: 3, FAILED: 4, KILLED: 5 });
export const CreateRun = z.object({
  experiment_id: text.default(""),
  user_id: textOf(limits.userId).default(""),
  run_name: textOf(limits.runName).default(""),
  start_time: int64.optional(),
  tags: pairs,
});
export const UpdateRun = runId.extend({
  status: runStatus.optional(),
  end_time: int64.optional(),
  run_name: textOf(limits.runName).optional(),
});
export const RunOnly = runId;
export const SetTag = runId.extend({ key: requiredText, value: longText.default("") });
export const DeleteTag = runId.extend({ key: requiredText });
export const LogParam = runId.extend({ key: requiredText, value: longText.default("") });

const metric = z.object({
  key: requiredText,
  value: double,
  timestamp: int64,
  step: int64.default(0),
  model_id: text.optional(),
  dataset_name: textOf(limits.dataset.name).optional(),
  dataset_digest: textOf(limits.dataset.digest).optional(),
});
export type MetricFields = z.infer<typeof metric>;
export const LogMetric = metric.extend({ run_id: requiredText });
/** How many of each is refused in MLflow's own words. */
const batch = { max: limits.ids };
export const LogBatch = runId.extend({
  metrics: list(metric, batch),
  params: list(keyValue, batch),
  tags: list(keyValue, batch),
});

const datasetInput = z.object({
  tags: list(keyValue),
  dataset: z.object({
    name: requiredText,
    digest: requiredText,
    source_type: requiredText,
    source: longText.refine((value) => value !== "", { error: "missing" }),
    schema: longText.optional(),
    profile: longText.optional(),
  }),
});
export type DatasetInput = z.infer<typeof datasetInput>;
export const LogInputs = runId.extend({
  datasets: list(datasetInput),
  models: list(z.object({ model_id: requiredText })),
});
export const LogOutputs = runId.extend({
  models: z
    .array(z.object({ model_id: requiredText, step: int64.default(0) }))
    .max(limits.entries, `at most ${limits.entries} entries are taken`),
});
export const LogModel = runId.extend({
  model_json: longText.refine((value) => value !== "", { error: "missing" }),
});

export const SearchRuns = z.object({
  experiment_ids: ids,
  filter,
  run_view_type: viewType.default("ACTIVE_ONLY"),
  max_results: pageSize(50_000).default(1000),
  order_by: list(text),
  ...page,
});

export const GetHistory = runId.extend({
  metric_key: requiredText,
  max_results: int32.refine((value) => value >= 1, { error: "It must be a positive integer." }).optional(),
  ...page,
});
export const GetHistoryBulk = z.object({
  run_id: list(text, { query: true }),
  metric_key: requiredText,
  max_results: int32
    .refine((value) => value >= 1, { error: "It must be a positive integer." })
    .default(25_000),
});
export const GetHistoryInterval = z.object({
  run_ids: list(text, { query: true }).refine((ids) => ids.length <= 100, {
    error: "GetMetricHistoryBulkInterval request must specify at most 100 run_ids.",
  }),
  metric_key: requiredText,
  start_step: int64.optional(),
  end_step: int64.optional(),
  max_results: pageSize(2500).default(2500),
});

export const ListArtifacts = runId.extend({ path: text.optional(), ...page });
export const ListProxiedArtifacts = z.object({ path: text.optional() });
export const BeginUpload = z.object({ path: requiredText, num_parts: int64 });
export const CompleteUpload = z.object({
  path: requiredText,
  upload_id: requiredText,
  // The URL of each part comes back as well, and is not needed.
  parts: list(z.object({ part_number: int64, etag: text.default("") }), { max: limits.ids }),
});
export const AbortUpload = z.object({ path: requiredText, upload_id: requiredText });
export const GetArtifact = runId.extend({ path: requiredText });

const modelId = z.object({ model_id: requiredText });
export const CreateLoggedModel = experimentId.extend({
  name: text.optional(),
  model_type: textOf(limits.modelType).default(""),
  source_run_id: text.default(""),
  params: pairs,
  tags: pairs,
});
export const ModelOnly = modelId;
export const GetLoggedModel = modelId.extend({ allow_deleted: flag.default(false) });
export const GetModelArtifact = modelId.extend({ artifact_file_path: requiredText });
export const FinalizeLoggedModel = modelId.extend({ status: enumeration(loggedModelStatuses) });
export const SetLoggedModelTags = modelId.extend({ tags: list(keyValue) });
export const DeleteLoggedModelTag = modelId.extend({ tag_key: requiredText });
export const LogLoggedModelParams = modelId.extend({ params: list(keyValue) });
export const ListLoggedModelArtifacts = modelId.extend({ artifact_directory_path: text.optional() });
export const SearchLoggedModels = z.object({
  experiment_ids: ids,
  filter,
  datasets: list(z.object({ dataset_name: requiredText, dataset_digest: text.optional() }), { max: 100 }),
  // MLflow documents at most 100, and its server takes more.
  max_results: pageSize(1000).default(50),
  order_by: list(
    z.object({
      field_name: requiredText,
      ascending: z.boolean().default(true),
      dataset_name: text.optional(),
      dataset_digest: text.optional(),
    }),
  ),
  ...page,
});

import { z } from "zod";

/**
 * What MLflow's REST API answers, by method and path below its prefix, for the description of the API. Fields and
 * messages are those of mlflow/protos; each is absent where unset, lists where empty.
 */

const text = z.string();
const double = z
  .union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])])
  .describe("What JSON has no number for travels as text");
const timeMs = z.int().describe("Milliseconds since 1970");

function message<Shape extends z.ZodRawShape>(title: string, shape: Shape) {
  return z
    .object(shape)
    .partial()
    .meta({ title: `Mlflow${title}` });
}

const KeyValue = message("KeyValue", { key: text, value: text });
const Experiment = message("Experiment", {
  experiment_id: text,
  name: text,
  artifact_location: text,
  lifecycle_stage: z.enum(["active", "deleted"]),
  last_update_time: timeMs,
  creation_time: timeMs,
  tags: z.array(KeyValue),
});
const Metric = message("Metric", {
  key: text,
  value: double,
  timestamp: timeMs,
  step: z.int(),
  dataset_name: text,
  dataset_digest: text,
  model_id: text,
  run_id: text,
});
const RunInfo = message("RunInfo", {
  run_id: text,
  run_uuid: text,
  run_name: text,
  experiment_id: text,
  user_id: text,
  status: z.enum(["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]),
  start_time: timeMs,
  end_time: timeMs,
  artifact_uri: text,
  lifecycle_stage: z.enum(["active", "deleted"]),
});
const DatasetInput = message("DatasetInput", {
  tags: z.array(KeyValue),
  dataset: message("Dataset", {
    name: text,
    digest: text,
    source_type: text,
    source: text,
    schema: text,
    profile: text,
  }),
});
const ModelUse = message("ModelUse", { model_id: text, step: z.int() });
const Run = message("Run", {
  info: RunInfo,
  data: message("RunData", {
    metrics: z.array(Metric),
    params: z.array(KeyValue),
    tags: z.array(KeyValue),
  }),
  inputs: message("RunInputs", { dataset_inputs: z.array(DatasetInput), model_inputs: z.array(ModelUse) }),
  outputs: message("RunOutputs", { model_outputs: z.array(ModelUse) }),
});
const FileInfo = message("FileInfo", { path: text, is_dir: z.boolean(), file_size: z.int() });
const LoggedModel = message("LoggedModel", {
  info: message("LoggedModelInfo", {
    model_id: text,
    experiment_id: text,
    name: text,
    creation_timestamp_ms: timeMs,
    last_updated_timestamp_ms: timeMs,
    artifact_uri: text,
    status: z.enum([
      "LOGGED_MODEL_STATUS_UNSPECIFIED",
      "LOGGED_MODEL_PENDING",
      "LOGGED_MODEL_READY",
      "LOGGED_MODEL_UPLOAD_FAILED",
    ]),
    model_type: text,
    source_run_id: text,
    tags: z.array(KeyValue),
  }),
  data: message("LoggedModelData", { params: z.array(KeyValue), metrics: z.array(Metric) }),
});
const ModelVersion = message("ModelVersion", {
  name: text,
  version: text,
  creation_timestamp: timeMs,
  last_updated_timestamp: timeMs,
  user_id: text,
  current_stage: text,
  description: text,
  source: text,
  run_id: text,
  status: z.enum(["PENDING_REGISTRATION", "FAILED_REGISTRATION", "READY"]),
  status_message: text,
  tags: z.array(KeyValue),
  run_link: text,
  aliases: z.array(text),
  model_id: text,
});
const RegisteredModel = message("RegisteredModel", {
  name: text,
  creation_timestamp: timeMs,
  last_updated_timestamp: timeMs,
  user_id: text,
  description: text,
  latest_versions: z.array(ModelVersion),
  tags: z.array(KeyValue),
  aliases: z.array(message("RegisteredModelAlias", { alias: text, version: text })),
});
const Webhook = message("Webhook", {
  webhook_id: text,
  name: text,
  description: text,
  url: text,
  events: z.array(message("WebhookEvent", { entity: text, action: text })),
  status: z.enum(["ACTIVE", "DISABLED"]),
  creation_timestamp: timeMs,
  last_updated_timestamp: timeMs,
});

const nothing = z.object({});
const fields = <Shape extends z.ZodRawShape>(shape: Shape) => z.object(shape).partial();
const page = <Shape extends z.ZodRawShape>(shape: Shape) => fields({ ...shape, next_page_token: text });
const experiment = fields({ experiment: Experiment });
const model = fields({ model: LoggedModel });
const registeredModel = fields({ registered_model: RegisteredModel });
const modelVersion = fields({ model_version: ModelVersion });
const modelVersions = page({ model_versions: z.array(ModelVersion) });
const webhook = fields({ webhook: Webhook });
const metrics = page({ metrics: z.array(Metric) });

const answers: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  ["POST /experiments/create", fields({ experiment_id: text })],
  ["GET /experiments/get", experiment],
  ["GET /experiments/get-by-name", experiment],
  ["POST /experiments/search", page({ experiments: z.array(Experiment) })],
  ["GET /experiments/search", page({ experiments: z.array(Experiment) })],
  [
    "POST /experiments/search-datasets",
    fields({
      dataset_summaries: z.array(
        message("DatasetSummary", { experiment_id: text, name: text, digest: text, context: text }),
      ),
    }),
  ],
  ["POST /runs/create", fields({ run: Run })],
  ["GET /runs/get", fields({ run: Run })],
  ["POST /runs/update", fields({ run_info: RunInfo })],
  ["POST /runs/search", page({ runs: z.array(Run) })],
  ["GET /artifacts/list", page({ root_uri: text, files: z.array(FileInfo) })],
  ["GET /metrics/get-history", metrics],
  ["GET /metrics/get-history-bulk", metrics],
  ["GET /metrics/get-history-bulk-interval", metrics],
  ["POST /logged-models", model],
  ["GET /logged-models/:model_id", model],
  ["PATCH /logged-models/:model_id", model],
  ["PATCH /logged-models/:model_id/tags", model],
  ["GET /logged-models/:model_id/artifacts/directories", page({ root_uri: text, files: z.array(FileInfo) })],
  ["POST /logged-models/search", page({ models: z.array(LoggedModel) })],
  ["POST /registered-models/create", registeredModel],
  ["POST /registered-models/rename", registeredModel],
  ["PATCH /registered-models/update", registeredModel],
  ["GET /registered-models/get", registeredModel],
  ["GET /registered-models/search", page({ registered_models: z.array(RegisteredModel) })],
  ["GET /registered-models/alias", modelVersion],
  ["GET /registered-models/get-latest-versions", modelVersions],
  ["POST /registered-models/get-latest-versions", modelVersions],
  ["POST /model-versions/create", modelVersion],
  ["PATCH /model-versions/update", modelVersion],
  ["POST /model-versions/transition-stage", modelVersion],
  ["GET /model-versions/get", modelVersion],
  ["GET /model-versions/search", modelVersions],
  ["GET /model-versions/get-download-uri", fields({ artifact_uri: text })],
  ["POST /webhooks", webhook],
  ["GET /webhooks", page({ webhooks: z.array(Webhook) })],
  ["GET /webhooks/:webhook_id", webhook],
  ["PATCH /webhooks/:webhook_id", webhook],
  [
    "POST /webhooks/:webhook_id/test",
    fields({
      result: message("WebhookTestResult", {
        success: z.boolean(),
        response_status: z.int(),
        response_body: text,
        error_message: text,
      }),
    }),
  ],
]);

/** The answer of a call of MLflow's API; many a change answers `{}`. */
export function answerOf(method: string, path: string): z.ZodType {
  return answers.get(`${method} ${path}`) ?? nothing;
}

/** What the routes of files answer. */
export const fileAnswers = {
  nothing,
  list: fields({ files: z.array(FileInfo) }),
  uploadCreated: z.object({
    upload_id: text,
    credentials: z.array(
      z.object({ url: text, part_number: z.int(), headers: z.record(z.string(), z.string()) }),
    ),
  }),
  link: z.object({ url: text, headers: z.record(z.string(), z.string()), file_size: z.int() }),
} as const;

/** The answers of a route that downloads: whatever type was stored with the file. */
export const downloadAnswers = {
  200: { description: "The file, of the type that its name says", contentType: "*/*" },
  206: { description: "The range that was asked for", contentType: "*/*" },
  416: { description: "The range lies outside of the file" },
} as const;

import { z } from "zod";

/**
 * What MLflow's REST API answers (mlflow/protos/service.proto and model_registry.proto), with the names of the wire.
 * Members that are unknown here are kept; lists and texts that protobuf leaves out where they are empty are put back.
 */

/** An int64: protobuf's JSON allows a string. Exact up to 2^53. */
const int64 = z.union([z.number(), z.string().regex(/^-?\d+$/)]).transform(Number);
/** NaN and the infinities travel as strings. */
const double = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])]).transform(Number);
const id = z.union([z.string(), z.number()]).transform(String);
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");
const list = <Item extends z.ZodType>(item: Item) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? []);
const moment = int64.nullish().transform((value) => value ?? undefined);

export const KeyValueSchema = z.looseObject({ key: z.string(), value: text });
export type KeyValue = { readonly key: string; readonly value: string };

export const MetricSchema = z.looseObject({
  key: z.string(),
  /** NaN and infinities included. */
  value: double,
  /** Milliseconds since 1970. */
  timestamp: int64.default(0),
  step: int64.default(0),
  model_id: z.string().optional(),
  run_id: z.string().optional(),
  dataset_name: z.string().optional(),
  dataset_digest: z.string().optional(),
});
export type Metric = z.infer<typeof MetricSchema>;

export const ExperimentSchema = z.looseObject({
  experiment_id: id,
  name: text,
  artifact_location: text,
  lifecycle_stage: z.string().default("active"),
  creation_time: moment,
  last_update_time: moment,
  tags: list(KeyValueSchema),
});
export type Experiment = z.infer<typeof ExperimentSchema>;

export const runStatuses = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"] as const;
export type RunStatus = (typeof runStatuses)[number];

export const RunInfoSchema = z
  .looseObject({
    run_id: z.string().optional(),
    run_uuid: z.string().optional(),
    experiment_id: id,
    run_name: text,
    user_id: text,
    status: z.enum(runStatuses).catch("RUNNING"),
    start_time: moment,
    end_time: moment,
    artifact_uri: text,
    lifecycle_stage: z.string().default("active"),
  })
  .transform(({ run_id, run_uuid, ...info }) => ({ ...info, run_id: run_id ?? run_uuid ?? "" }));
export type RunInfo = z.infer<typeof RunInfoSchema>;

const DatasetInputSchema = z.looseObject({
  tags: list(KeyValueSchema),
  dataset: z.looseObject({
    name: text,
    digest: text,
    source_type: text,
    source: text,
    schema: z.string().optional(),
    profile: z.string().optional(),
  }),
});
export type DatasetInput = z.infer<typeof DatasetInputSchema>;

const ModelOutputSchema = z.looseObject({ model_id: z.string(), step: int64.default(0) });

export const RunSchema = z.looseObject({
  info: RunInfoSchema,
  data: z
    .looseObject({ metrics: list(MetricSchema), params: list(KeyValueSchema), tags: list(KeyValueSchema) })
    .prefault({}),
  inputs: z
    .looseObject({
      dataset_inputs: list(DatasetInputSchema),
      model_inputs: list(z.looseObject({ model_id: z.string() })),
    })
    .prefault({}),
  outputs: z.looseObject({ model_outputs: list(ModelOutputSchema) }).prefault({}),
});
export type Run = z.infer<typeof RunSchema>;

export const LoggedModelSchema = z.looseObject({
  info: z.looseObject({
    model_id: z.string(),
    experiment_id: id,
    name: text,
    artifact_uri: text,
    status: z.union([z.string(), z.number()]).transform(String).default("LOGGED_MODEL_PENDING"),
    model_type: text,
    source_run_id: text,
    creation_timestamp_ms: moment,
    last_updated_timestamp_ms: moment,
    tags: list(KeyValueSchema),
  }),
  data: z.looseObject({ params: list(KeyValueSchema), metrics: list(MetricSchema) }).prefault({}),
});
export type LoggedModel = z.infer<typeof LoggedModelSchema>;

export const ModelVersionSchema = z.looseObject({
  name: z.string(),
  /** A whole number as text, as MLflow writes it. */
  version: id,
  creation_timestamp: moment,
  last_updated_timestamp: moment,
  current_stage: z.string().default("None"),
  description: text,
  source: text,
  run_id: text,
  run_link: text,
  status: z.string().default("READY"),
  status_message: z.string().optional(),
  tags: list(KeyValueSchema),
  aliases: list(z.string()),
  model_id: z.string().optional(),
});
export type ModelVersion = z.infer<typeof ModelVersionSchema>;

export const RegisteredModelSchema = z.looseObject({
  name: z.string(),
  creation_timestamp: moment,
  last_updated_timestamp: moment,
  description: text,
  latest_versions: list(ModelVersionSchema),
  tags: list(KeyValueSchema),
  aliases: list(z.looseObject({ alias: z.string(), version: id })),
});
export type RegisteredModel = z.infer<typeof RegisteredModelSchema>;

const FileInfoSchema = z.looseObject({
  path: z.string(),
  is_dir: z.boolean().default(false),
  file_size: int64.optional(),
});

const pageToken = z
  .string()
  .nullish()
  .transform((token) => (token === "" ? undefined : (token ?? undefined)));

export const Nothing = z.unknown();
export const ExperimentId = z.object({ experiment_id: id });
export const ExperimentAnswer = z.object({ experiment: ExperimentSchema });
export const ExperimentPage = z.object({ experiments: list(ExperimentSchema), next_page_token: pageToken });
export const RunAnswer = z.object({ run: RunSchema });
export const RunInfoAnswer = z.object({ run_info: RunInfoSchema });
export const RunPage = z.object({ runs: list(RunSchema), next_page_token: pageToken });
export const MetricPage = z.object({ metrics: list(MetricSchema), next_page_token: pageToken });
export const LoggedModelAnswer = z.object({ model: LoggedModelSchema });
export const LoggedModelPage = z.object({ models: list(LoggedModelSchema), next_page_token: pageToken });
export const RegisteredModelAnswer = z.object({ registered_model: RegisteredModelSchema });
export const RegisteredModelPage = z.object({
  registered_models: list(RegisteredModelSchema),
  next_page_token: pageToken,
});
export const ModelVersionAnswer = z.object({ model_version: ModelVersionSchema });
export const ModelVersionList = z.object({
  model_versions: list(ModelVersionSchema),
  next_page_token: pageToken,
});
export const DownloadUri = z.object({ artifact_uri: z.string() });
export const FileList = z.object({ files: list(FileInfoSchema) });

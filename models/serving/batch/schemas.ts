import { z } from "zod";
import { pageOf, pageQuery } from "../../../shared/http/index.ts";
import { JobSchema } from "../../../shared/jobs/index.ts";
import { DatasetName } from "../../datasets/index.ts";
import { DeploymentName } from "../schemas.ts";

const ColumnName = z.string().min(1).max(500);
const ModelName = z
  .string()
  .min(1)
  .max(256)
  .regex(/^\P{Cc}*$/u, "has a control character")
  .describe("A registered model");
const VersionNumber = z.coerce
  .number()
  .int()
  .min(1)
  .max(1e9)
  .describe("A version of that model, such as 3 or `3`");

const Target = z.union(
  [
    z
      .strictObject({ deployment: DeploymentName })
      .describe("The variant with the most weight of the deployment's current revision"),
    z.strictObject({ model: ModelName, version: VersionNumber }),
    z.strictObject({ model: ModelName, alias: z.string().min(1).max(256) }),
  ],
  { error: "needs deployment, or model and version, or model and alias" },
);

/** What is asked for. */
export const BatchPredictionBody = z
  .strictObject({
    input: z.strictObject({
      dataset: DatasetName,
      version: z
        .string()
        .regex(/^(latest|[0-9a-f]{8,64})$/, "the version's SHA-256, its first 8 digits or more, or `latest`")
        .default("latest"),
      columns: z
        .array(ColumnName)
        .min(1)
        .max(10_000)
        .optional()
        .describe(
          "The table that the model gets, in this order. Not needed where the model names its columns; all columns " +
            "when not given.",
        ),
      limit: z.int().min(1).optional().describe("Only the first so many rows"),
    }),
    target: Target.describe(
      "What predicts; settled when the job is submitted, so that one version predicts all rows",
    ),
    output: z.strictObject({
      dataset: DatasetName.describe(
        "Gets a new version with the predictions; made when there is none of that name",
      ),
      keep: z
        .array(ColumnName)
        .max(1000)
        .default([])
        .describe("Columns of the input that go before the predictions"),
    }),
    maxFailedRows: z
      .int()
      .min(0)
      .default(0)
      .describe(
        "With 0 the first row that cannot be predicted fails the job, which names it. With more, such rows stay in their " +
          "place without predictions, and the column `prediction_error` says why; one more than this fails the job.",
      ),
    chunkRows: z.int().min(1).max(200_000).optional().describe("Rows that are done and recorded together"),
  })
  .meta({ title: "BatchPredictionRequest" });
export type BatchPredictionBody = z.infer<typeof BatchPredictionBody>;

/** The same with everything settled: what the job runs from, however often it is started. */
export const BatchSpec = z.strictObject({
  dataset: z.string(),
  version: z.string(),
  columns: z.array(z.string()).nullable(),
  rows: z.int().min(0),
  keep: z.array(z.string()),
  output: z.string(),
  maxFailedRows: z.int(),
  chunkRows: z.int(),
  model: z.string(),
  modelVersion: z.int(),
  storageLocation: z.string(),
  deployment: z.string().nullable(),
  revision: z.int().nullable(),
});
export type BatchSpec = z.infer<typeof BatchSpec>;

export interface BatchResult {
  readonly dataset: string;
  readonly version: string;
  readonly rows: number;
  readonly failedRows: number;
  readonly chunks: number;
  readonly source: { readonly dataset: string; readonly version: string };
  readonly model: { readonly name: string; readonly version: number };
  /** Profiles the new version; null when the same content was there already. */
  readonly profileJob: string | null;
}

export const BatchPredictionSchema = z
  .object({
    id: z.string().describe("The id of its job"),
    input: z.object({ dataset: z.string(), version: z.string(), rows: z.int() }),
    model: z.object({ name: z.string(), version: z.int() }),
    deployment: z.string().nullable(),
    revision: z.int().nullable(),
    output: z.object({
      dataset: z.string(),
      version: z.string().nullable().describe("null until the job succeeded"),
      failedRows: z.int().nullable().describe("Rows without a prediction; null until the job succeeded"),
    }),
    createdBy: z.string(),
    createdMs: z.int(),
    job: JobSchema,
  })
  .meta({ title: "BatchPrediction" });
export type BatchPrediction = z.infer<typeof BatchPredictionSchema>;

export const BatchPredictionPage = pageOf(BatchPredictionSchema);
export const BatchPredictionsQuery = z.object({
  ...pageQuery,
  output: DatasetName.optional().describe("Only those that write to this data set"),
  outputVersion: z.string().min(1).max(64).optional().describe("Only those that gave this version of it"),
  model: ModelName.optional().describe("Only those by this registered model"),
});
export const BatchPredictionPosition = z.object({ createdMs: z.int(), id: z.string() });
export const BatchPredictionParams = z.object({ id: z.string().min(1).max(100) });
export const SubmitBatchQuery = z.object({
  idempotencyKey: z.string().min(1).max(200).optional().describe("The same key again gives the first job"),
});

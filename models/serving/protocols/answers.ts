import { z } from "zod";
import type { RouteResponse } from "../../../shared/http/index.ts";
import { maxBodyBytes } from "../inference/answer.ts";

/** What the inference protocols answer, for the description of the API; these paths write their answers themselves. */

/** What is sent ends with the body: a text takes a byte for each character, an entry of a list two with its comma. */
const sentText = z.string().max(maxBodyBytes);
const sentList = <Item extends z.ZodType>(item: Item) => z.array(item).max(maxBodyBytes / 2);

const datatype = z
  .string()
  .max(10)
  .describe("BOOL, UINT8 to UINT64, INT8 to INT64, FP16, FP32, FP64 or BYTES, which is text");
const shape = z.array(z.int()).describe("-1 where a dimension is free");

const TensorMetadata = z
  .object({
    name: z.string(),
    datatype,
    shape,
    parameters: z
      .object({
        optional: z.boolean().optional().describe("It has a default and can be left out"),
        class_labels: z.string().optional().describe("The labels in the order of the scores, as JSON"),
      })
      .optional(),
  })
  .meta({ title: "InferenceTensorMetadata" });
const Unserved = z.array(z.object({ name: z.string(), type: z.string() }));

const ModelMetadata = z
  .object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(TensorMetadata),
    outputs: z.array(TensorMetadata),
    unserved_inputs: Unserved.optional().describe("What the model takes and the protocol has no form for"),
    unserved_outputs: Unserved.optional(),
  })
  .meta({ title: "InferenceModelMetadata" });

const element = z.union([z.number(), z.string(), z.boolean(), z.null()]);
const Parameters = z.record(z.string(), z.unknown());
const InferenceTensor = z
  .object({
    name: z.string(),
    datatype,
    shape: z.array(z.int()),
    data: z.array(element).optional().describe("Flat, row by row; absent where it follows in binary"),
    parameters: Parameters.optional(),
  })
  .meta({ title: "InferenceTensor" });
const InferenceResponse = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string(),
    outputs: z.array(InferenceTensor),
  })
  .meta({ title: "InferenceResponse" });

/** What `infer` reads itself. */
export const InferenceRequest = z
  .object({
    id: sentText.optional(),
    parameters: Parameters.optional(),
    inputs: sentList(
      z.object({
        name: sentText,
        datatype,
        shape: sentList(z.int().min(0)),
        data: sentList(z.unknown()).optional().describe("Flat or nested, row by row"),
        parameters: Parameters.optional(),
      }),
    ).min(1),
    outputs: sentList(z.object({ name: sentText, parameters: Parameters.optional() }))
      .optional()
      .describe("All when not given"),
  })
  .meta({ title: "InferenceRequest" });

/** What the index of the repository reads itself. */
export const RepositoryIndexRequest = z.object({
  ready: z.boolean().optional().describe("Only models that nothing stands against"),
});

const Statistics = z.object({
  model_stats: z.array(
    z
      .looseObject({ name: z.string(), version: z.string(), inference_count: z.number() })
      .meta({ title: "InferenceStatistics" }),
  ),
});

const json = (description: string, schema: z.ZodType): Readonly<Record<number, RouteResponse>> => ({
  200: { description, schema },
});

export const inferenceAnswers = {
  server: json(
    "The server",
    z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) }),
  ),
  live: json("It answers", z.object({ live: z.boolean() })),
  ready: json("It can serve", z.object({ live: z.boolean(), ready: z.boolean() })),
  metadata: json("What the model takes and gives", ModelMetadata),
  modelReady: json("It can answer", z.object({ name: z.string(), ready: z.boolean() })),
  prediction: {
    200: {
      description:
        "The outputs. Those that were asked for in binary follow the JSON, whose length `Inference-Header-Content-Length` " +
        "says, as application/octet-stream.",
      schema: InferenceResponse,
      contentType: ["application/json", "application/octet-stream"],
    },
  },
  statistics: json("Counts of this instance since it started", Statistics),
  index: json(
    "The models",
    z.array(
      z
        .object({ name: z.string(), version: z.string(), state: z.string(), reason: z.string() })
        .meta({ title: "InferenceRepositoryEntry" }),
    ),
  ),
  loaded: json("It is in memory", z.object({ name: z.string(), load: z.boolean() })),
  unloaded: json("It is not in memory", z.object({ name: z.string(), unload: z.boolean() })),
} as const;

const cell = z.unknown();
const Columns = z.record(z.string(), sentList(cell));

/** What `invocations` reads itself, as JSON; or a table as text/csv with a header line. */
export const ScoringRequest = z
  .union([
    z.object({
      dataframe_split: z.object({
        columns: sentList(sentText).optional(),
        index: sentList(cell).optional(),
        data: sentList(sentList(cell)),
      }),
    }),
    z.object({ dataframe_records: sentList(z.record(z.string(), cell)) }),
    z.object({ instances: z.union([sentList(cell), Columns]) }),
    z.object({ inputs: z.union([sentList(cell), Columns]) }),
  ])
  .meta({ title: "ScoringRequest" });

export const scoringAnswers = {
  prediction: json(
    "The predictions: a list, one for each row, or lists by output",
    z
      .object({ predictions: z.union([z.array(z.unknown()), z.record(z.string(), z.unknown())]) })
      .meta({ title: "ScoringResponse" }),
  ),
  there: { 200: { description: "An empty line", contentType: "text/plain" } },
  version: { 200: { description: "For example 0.1.0", contentType: "text/plain" } },
} as const;

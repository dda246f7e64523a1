import {
  buildModel,
  bytesSource,
  elementTypeCode,
  encodeModel,
  node,
  readModel,
  tensor,
  tensorInfo,
} from "../../../shared/onnx/index.ts";
import type { Recipe } from "../data/recipe.ts";
import type { PredictorGraph } from "../fitting/trainer.ts";
import { RowChoice } from "../schemas.ts";

const recipeKey = "ketline.recipe";
const choiceKey = "ketline.rows";

export interface ModelIdentity {
  readonly dataset: string;
  readonly datasetVersion: string;
  readonly algorithm: string;
  /** What Ketline's runs say they were made by: as configured, the commit that is deployed. */
  readonly codeVersion: string;
  /** Which rows of the data set version it was trained on. */
  readonly choice: RowChoice;
}

/**
 * The whole graph. Inputs: one per feature under its name, `[N, 1]`: float32 with NaN for a missing number, string with
 * '' for a missing text. Outputs: for a binary task `label` int64 `[N]` and `probabilities` float32 `[N, 2]`; for a
 * regression `prediction` float32 `[N, 1]`. Its metadata say how it was made, and from which columns it can be fed.
 */
export function modelGraph(
  recipe: Recipe,
  graph: PredictorGraph,
  identity: ModelIdentity,
): Uint8Array<ArrayBuffer> {
  const head = recipe.task === "binary" ? binaryHead(graph.score) : regressionHead(graph.score);
  return encodeModel(
    buildModel({
      name: "ketline",
      producerVersion: identity.codeVersion,
      description: `${identity.algorithm} model for the task ${recipe.task}, trained by Ketline`,
      inputs: recipe.features.map(({ name, input }) =>
        tensorInfo(name, input === "text" ? "string" : "float32", ["N", 1]),
      ),
      outputs: head.outputs,
      nodes: [...graph.nodes, ...head.nodes],
      initializers: [...graph.initializers, ...head.initializers],
      metadata: {
        [recipeKey]: JSON.stringify(recipe),
        "ketline.task": recipe.task,
        "ketline.features": JSON.stringify(recipe.features.map(({ name }) => name)),
        "ketline.algorithm": identity.algorithm,
        "ketline.dataset": identity.dataset,
        "ketline.dataset_version": identity.datasetVersion,
        [choiceKey]: JSON.stringify(identity.choice),
        "ketline.code_version": identity.codeVersion,
      },
    }),
  );
}

/** What a model predicts from what, if it was made by `modelGraph`; null for others. */
export function recipeInside(bytes: Uint8Array): Recipe | null {
  const text = readModel(bytesSource(bytes), { maxBytes: maxModelBytes }).metadata.get(recipeKey);
  return text === undefined ? null : JSON.parse(text);
}

/** Which rows of its data set version a model was trained on; null where it does not say. */
export function choiceInside(bytes: Uint8Array): RowChoice | null {
  const text = readModel(bytesSource(bytes), { maxBytes: maxModelBytes }).metadata.get(choiceKey);
  if (text === undefined) return null;
  // Anybody may have written it: nothing of it goes into a query unchecked.
  return RowChoice.safeParse(parsedOrNull(text)).data ?? null;
}

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const maxModelBytes = 256 * 1024 ** 2;

interface Head {
  readonly outputs: ReturnType<typeof tensorInfo>[];
  readonly nodes: ReturnType<typeof node>[];
  readonly initializers: ReturnType<typeof tensor>[];
}

/** 1 - p is the sigmoid of the negative score: subtracting would lose the digits of small ones. */
function binaryHead(score: string): Head {
  return {
    outputs: [tensorInfo("label", "int64", ["N"]), tensorInfo("probabilities", "float32", ["N", 2])],
    initializers: [
      tensor("ketline:zero", Float64Array.of(0), [1, 1]),
      tensor("ketline:flat", BigInt64Array.of(-1n)),
    ],
    nodes: [
      node("Neg", [score], ["ketline:score.negative"]),
      node("Concat", ["ketline:score.negative", score], ["ketline:scores"], { axis: { int: 1 } }),
      node("Sigmoid", ["ketline:scores"], ["ketline:probabilities.double"]),
      node("Cast", ["ketline:probabilities.double"], ["probabilities"], {
        to: { int: elementTypeCode("float32") },
      }),
      node("GreaterOrEqual", [score, "ketline:zero"], ["ketline:positive"]),
      node("Cast", ["ketline:positive"], ["ketline:label.column"], { to: { int: elementTypeCode("int64") } }),
      node("Reshape", ["ketline:label.column", "ketline:flat"], ["label"]),
    ],
  };
}

function regressionHead(score: string): Head {
  return {
    outputs: [tensorInfo("prediction", "float32", ["N", 1])],
    initializers: [],
    nodes: [node("Cast", [score], ["prediction"], { to: { int: elementTypeCode("float32") } })],
  };
}

import {
  type AttributeValue,
  buildModel,
  encodeModel,
  type ModelProto,
  mlDomain,
  node,
  tensor,
  tensorInfo,
} from "../../../shared/onnx/index.ts";
import { TensorProto_DataLocation } from "../../../shared/onnx/schema/onnx_pb.js";

/* Small ONNX models, built in code, each with an answer that can be worked out by hand. */

const producerVersion = "test";

/** y = x · weights + bias; X [N, F] FP32 → Y [N, 1]. */
export function linearModel(weights: readonly number[], bias = 0): ModelProto {
  return buildModel({
    name: "linear",
    producerVersion,
    inputs: [tensorInfo("X", "float32", ["N", weights.length])],
    outputs: [tensorInfo("Y", "float32", ["N", 1])],
    nodes: [node("MatMul", ["X", "W"], ["XW"]), node("Add", ["XW", "B"], ["Y"])],
    initializers: [
      tensor("W", new Float32Array(weights), [weights.length, 1]),
      tensor("B", new Float32Array([bias])),
    ],
  });
}

/** One tree on feature 0: `low` up to the threshold, `high` above it. X [N, 2] FP32 → variable [N, 1]. */
export function treeModel(threshold: number, low: number, high: number): ModelProto {
  const attributes: Record<string, AttributeValue> = {
    n_targets: { int: 1 },
    nodes_treeids: { ints: [0, 0, 0] },
    nodes_nodeids: { ints: [0, 1, 2] },
    nodes_featureids: { ints: [0, 0, 0] },
    nodes_values: { floats: [threshold, 0, 0] },
    nodes_modes: { texts: ["BRANCH_LEQ", "LEAF", "LEAF"] },
    nodes_truenodeids: { ints: [1, 0, 0] },
    nodes_falsenodeids: { ints: [2, 0, 0] },
    target_treeids: { ints: [0, 0] },
    target_nodeids: { ints: [1, 2] },
    target_ids: { ints: [0, 0] },
    target_weights: { floats: [low, high] },
  };
  return buildModel({
    name: "tree",
    producerVersion,
    inputs: [tensorInfo("X", "float32", ["", 2])],
    outputs: [tensorInfo("variable", "float32", ["", 1])],
    nodes: [node("TreeEnsembleRegressor", ["X"], ["variable"], attributes, mlDomain)],
    initializers: [],
  });
}

/**
 * A classifier as skl2onnx writes it with ZipMap on: class 0 where x0 is below 0, else class 1.
 * X [N, 1] FP32 → output_label [N], output_probability a sequence of maps.
 */
export function zipMapModel(labels: readonly [number, number] | readonly [string, string]): ModelProto {
  const texts = labels.filter((label) => typeof label === "string");
  const classes: Record<string, AttributeValue> =
    texts.length > 0
      ? { classlabels_strings: { texts } }
      : { classlabels_int64s: { ints: labels.filter((label) => typeof label === "number") } };
  const linear: Record<string, AttributeValue> = {
    ...(texts.length > 0
      ? { classlabels_strings: { texts } }
      : { classlabels_ints: { ints: labels.filter((label) => typeof label === "number") } }),
    coefficients: { floats: [-1, 1] },
    intercepts: { floats: [0, 0] },
    multi_class: { int: 0 },
    post_transform: { text: "SOFTMAX" },
  };
  return buildModel({
    name: "classifier",
    producerVersion,
    inputs: [tensorInfo("X", "float32", ["", 1])],
    outputs: [
      tensorInfo("output_label", texts.length > 0 ? "string" : "int64", [""]),
      mapSequence("output_probability", texts.length > 0),
    ],
    nodes: [
      node("LinearClassifier", ["X"], ["output_label", "probabilities"], linear, mlDomain),
      node("ZipMap", ["probabilities"], ["output_probability"], classes, mlDomain),
    ],
    initializers: [],
  });
}

function mapSequence(name: string, textKeys: boolean) {
  const info = tensorInfo(name, "float32", []);
  const value = info.type?.value;
  if (info.type === undefined || value?.case !== "tensorType") throw new Error("expected a tensor");
  const valueType = info.type;
  return {
    ...info,
    type: {
      ...info.type,
      value: {
        case: "sequenceType",
        value: {
          $typeName: "onnx.TypeProto.Sequence",
          elemType: {
            $typeName: "onnx.TypeProto",
            denotation: "",
            value: {
              case: "mapType",
              value: { $typeName: "onnx.TypeProto.Map", keyType: textKeys ? 8 : 7, valueType },
            },
          },
        },
      },
    },
  } as unknown as typeof info;
}

/** colour [N, 1] BYTES → hot [N, 1, colours] FP32. */
export function oneHotModel(colours: readonly string[]): ModelProto {
  return buildModel({
    name: "one-hot",
    producerVersion,
    inputs: [tensorInfo("colour", "string", ["N", 1])],
    outputs: [tensorInfo("hot", "float32", ["N", 1, colours.length])],
    nodes: [
      node(
        "OneHotEncoder",
        ["colour"],
        ["hot"],
        { cats_strings: { texts: colours }, zeros: { int: 1 } },
        mlDomain,
      ),
    ],
    initializers: [],
  });
}

/** sum = a + b, both FP32 [N, 1]; the batch dimension has one name. */
export function sumModel(): ModelProto {
  return buildModel({
    name: "sum",
    producerVersion,
    inputs: [tensorInfo("a", "float32", ["batch", 1]), tensorInfo("b", "float32", ["batch", 1])],
    outputs: [tensorInfo("sum", "float32", ["batch", 1])],
    nodes: [node("Add", ["a", "b"], ["sum"])],
    initializers: [],
  });
}

/** Gives back what it gets: X → Y of one type and shape. */
export function identityModel(
  type: Parameters<typeof tensorInfo>[1],
  shape: readonly (number | string)[] = ["N"],
): ModelProto {
  return buildModel({
    name: "identity",
    producerVersion,
    inputs: [tensorInfo("X", type, shape)],
    outputs: [tensorInfo("Y", type, shape)],
    nodes: [node("Identity", ["X"], ["Y"])],
    initializers: [],
  });
}

/** A linear model whose weights lie in another file, with the bytes of that file. */
export function externalModel(location: string): { model: ModelProto; data: Uint8Array } {
  const model = linearModel([1, 2, 3, 4]);
  const weights = model.graph?.initializer[0];
  if (weights === undefined) throw new Error("the model has weights");
  const data = weights.rawData;
  weights.rawData = new Uint8Array(0);
  weights.dataLocation = TensorProto_DataLocation.EXTERNAL;
  weights.externalData = [
    { $typeName: "onnx.StringStringEntryProto", key: "location", value: location },
    { $typeName: "onnx.StringStringEntryProto", key: "offset", value: "0" },
    { $typeName: "onnx.StringStringEntryProto", key: "length", value: String(data.byteLength) },
  ];
  return { model, data };
}

/** X [N, N] multiplied by itself many times over: seconds of work for a thousand rows. */
export function slowModel(times: number): ModelProto {
  return buildModel({
    name: "slow",
    producerVersion,
    inputs: [tensorInfo("X", "float32", ["N", "N"])],
    outputs: [tensorInfo("Y", "float32", ["N", "N"])],
    nodes: Array.from({ length: times }, (_, i) =>
      node("MatMul", [i === 0 ? "X" : `t${i - 1}`, "X"], [i === times - 1 ? "Y" : `t${i}`]),
    ),
    initializers: [],
  });
}

/** y = 2 x, tiled once by a number in the data: how much it makes does not follow from its inputs. */
export function tileModel(): ModelProto {
  return buildModel({
    name: "tile",
    producerVersion,
    inputs: [tensorInfo("X", "float32", ["N", 1])],
    outputs: [tensorInfo("Y", "float32", ["N", 1])],
    nodes: [node("Add", ["X", "X"], ["XX"]), node("Tile", ["XX", "R"], ["Y"])],
    initializers: [tensor("R", BigInt64Array.of(1n, 1n))],
  });
}

/** Looks a whole number up in a list: X [N] INT64 → Y [N]. A number that the list does not have fails the run. */
export function lookUpModel(values: readonly number[]): ModelProto {
  return buildModel({
    name: "look up",
    producerVersion,
    inputs: [tensorInfo("X", "int64", ["N"])],
    outputs: [tensorInfo("Y", "float32", ["N"])],
    nodes: [node("Gather", ["W", "X"], ["Y"])],
    initializers: [tensor("W", new Float32Array(values), [values.length])],
  });
}

/** Uses an operator that nothing here knows. */
export function customOperatorModel(): ModelProto {
  return buildModel({
    name: "custom",
    producerVersion,
    inputs: [tensorInfo("X", "float32", ["N"])],
    outputs: [tensorInfo("Y", "float32", ["N"])],
    nodes: [node("Secret", ["X"], ["Y"], {}, "com.example")],
    initializers: [],
  });
}

export const bytesOf = (model: ModelProto): Uint8Array<ArrayBuffer> => encodeModel(model);

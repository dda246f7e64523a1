import { fieldBytes, numberBytes } from "../../../shared/onnx/index.ts";
import {
  attributeTags,
  graphTags,
  modelTags,
  nodeTags,
  opsetTags,
  shapeTags,
  tensorTypeTags,
  typeTags,
  valueTags,
} from "../../../shared/onnx/tags.ts";

/**
 * A forest as scikit-learn's converter writes it: every number of every node is a field of its own. All trees are alike
 * and find the leaf of x among 2^depth equal parts of [0, 1), whose weight is its lower bound, so that the sum is
 * trees · floor(x · 2^depth) / 2^depth. It ends in ZipMap. X [N, 1] FP32 → scores, a sequence of maps with the key "sum".
 */
export function forestModel(trees: number, depth: number): Uint8Array {
  const inner = 2 ** depth - 1;
  const count = 2 * inner + 1;
  const each = <Item>(make: (node: number, tree: number) => Item): Item[] =>
    Array.from({ length: trees * count }, (_, i) => make(i % count, Math.floor(i / count)));
  const leaves = <Item>(make: (leaf: number, tree: number) => Item): Item[] =>
    Array.from({ length: trees * 2 ** depth }, (_, i) => make(i % 2 ** depth, Math.floor(i / 2 ** depth)));
  const isInner = (node: number) => node < inner;
  const threshold = (node: number) => {
    const level = Math.floor(Math.log2(node + 1));
    return (node - 2 ** level + 1 + 0.5) / 2 ** level;
  };
  const forest = node(
    "TreeEnsembleRegressor",
    "ai.onnx.ml",
    ["X"],
    ["sums"],
    [
      attribute("n_targets", 2, numberBytes(attributeTags.i, 1)),
      attribute("nodes_treeids", 7, integers(each((_, tree) => tree))),
      attribute("nodes_nodeids", 7, integers(each((node) => node))),
      attribute("nodes_featureids", 7, integers(each(() => 0))),
      attribute("nodes_values", 6, floats(each((node) => (isInner(node) ? threshold(node) : 0)))),
      attribute("nodes_modes", 8, texts(each((node) => (isInner(node) ? "BRANCH_LT" : "LEAF")))),
      attribute("nodes_truenodeids", 7, integers(each((node) => (isInner(node) ? 2 * node + 1 : 0)))),
      attribute("nodes_falsenodeids", 7, integers(each((node) => (isInner(node) ? 2 * node + 2 : 0)))),
      attribute("target_treeids", 7, integers(leaves((_, tree) => tree))),
      attribute("target_nodeids", 7, integers(leaves((leaf) => inner + leaf))),
      attribute("target_ids", 7, integers(leaves(() => 0))),
      attribute("target_weights", 6, floats(leaves((leaf) => leaf / 2 ** depth))),
    ],
  );
  const zipMap = node(
    "ZipMap",
    "ai.onnx.ml",
    ["sums"],
    ["scores"],
    [attribute("classlabels_strings", 8, texts(["sum"]))],
  );
  const floatTensor = (...dims: readonly Uint8Array[]) =>
    fieldBytes(
      typeTags.tensor,
      numberBytes(tensorTypeTags.elementType, 1),
      ...(dims.length === 0 ? [] : [fieldBytes(tensorTypeTags.shape, ...dims)]),
    );
  const text = 8;
  const map = Buffer.concat([numberBytes(8, text), fieldBytes(2 * 8 + 2, floatTensor())]);
  const sequence = fieldBytes(4 * 8 + 2, fieldBytes(1 * 8 + 2, fieldBytes(5 * 8 + 2, map)));
  const rows = fieldBytes(shapeTags.dim);
  const one = fieldBytes(shapeTags.dim, numberBytes(8, 1));
  const graph = fieldBytes(
    modelTags.graph,
    forest,
    zipMap,
    fieldBytes(graphTags.name, "forest"),
    fieldBytes(
      graphTags.input,
      fieldBytes(valueTags.name, "X"),
      fieldBytes(valueTags.type, floatTensor(rows, one)),
    ),
    fieldBytes(graphTags.output, fieldBytes(valueTags.name, "scores"), fieldBytes(valueTags.type, sequence)),
  );
  const opset = (domain: string, version: number) =>
    fieldBytes(
      modelTags.opsetImport,
      fieldBytes(opsetTags.domain, domain),
      numberBytes(opsetTags.version, version),
    );
  return Buffer.concat([numberBytes(modelTags.irVersion, 8), graph, opset("", 15), opset("ai.onnx.ml", 3)]);
}

function node(
  operator: string,
  domain: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Uint8Array[],
): Uint8Array {
  return fieldBytes(
    graphTags.node,
    ...inputs.map((name) => fieldBytes(nodeTags.input, name)),
    ...outputs.map((name) => fieldBytes(nodeTags.output, name)),
    fieldBytes(nodeTags.opType, operator),
    fieldBytes(nodeTags.domain, domain),
    ...attributes,
  );
}

function attribute(name: string, type: number, value: Uint8Array): Uint8Array {
  return fieldBytes(
    nodeTags.attribute,
    fieldBytes(attributeTags.name, name),
    numberBytes(attributeTags.type, type),
    value,
  );
}

function integers(values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * 6);
  let at = 0;
  for (const value of values) {
    bytes[at++] = attributeTags.ints;
    let left = value;
    for (; left > 127; left >>>= 7) bytes[at++] = (left & 127) | 128;
    bytes[at++] = left;
  }
  return bytes.subarray(0, at);
}

function floats(values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * 5);
  for (const [index, value] of values.entries()) {
    bytes[5 * index] = attributeTags.floats;
    bytes.writeFloatLE(value, 5 * index + 1);
  }
  return bytes;
}

function texts(values: readonly string[]): Uint8Array {
  const bytes = Buffer.alloc(values.reduce((sum, value) => sum + 2 + value.length, 0));
  let at = 0;
  for (const value of values) {
    bytes[at++] = attributeTags.strings;
    bytes[at++] = value.length;
    at += bytes.write(value, at, "latin1");
  }
  return bytes;
}

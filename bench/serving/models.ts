import { buildModel, encodeModel, mlDomain, node, tensor, tensorInfo } from "../../shared/onnx/index.ts";
import { version } from "../../shared/version.ts";

/** y = x · w over 20 or more features. */
export function linear(features: number): Uint8Array {
  return encodeModel(
    buildModel({
      name: "linear",
      producerVersion: version,
      inputs: [tensorInfo("X", "float32", ["N", features])],
      outputs: [tensorInfo("Y", "float32", ["N", 1])],
      nodes: [node("MatMul", ["X", "W"], ["Y"])],
      initializers: [
        tensor(
          "W",
          Float32Array.from({ length: features }, (_, i) => i / features),
          [features, 1],
        ),
      ],
    }),
  );
}

/** Two hidden layers. */
export function perceptron(features: number, hidden: number): Uint8Array {
  const random = draws();
  const weights = (name: string, from: number, to: number) =>
    tensor(
      name,
      Float32Array.from({ length: from * to }, () => random() - 0.5),
      [from, to],
    );
  const bias = (name: string, size: number) => tensor(name, new Float32Array(size).fill(0.1));
  return encodeModel(
    buildModel({
      name: "mlp",
      producerVersion: version,
      inputs: [tensorInfo("X", "float32", ["N", features])],
      outputs: [tensorInfo("Y", "float32", ["N", 1])],
      nodes: [
        node("Gemm", ["X", "W1", "B1"], ["H1"]),
        node("Relu", ["H1"], ["R1"]),
        node("Gemm", ["R1", "W2", "B2"], ["H2"]),
        node("Relu", ["H2"], ["R2"]),
        node("Gemm", ["R2", "W3", "B3"], ["Y"]),
      ],
      initializers: [
        weights("W1", features, hidden),
        bias("B1", hidden),
        weights("W2", hidden, hidden),
        bias("B2", hidden),
        weights("W3", hidden, 1),
        bias("B3", 1),
      ],
    }),
  );
}

/** The same numbers from 0 to below 1 every time. */
function draws(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Complete trees of a depth, on features and thresholds drawn from a seed. */
export function forest(trees: number, depth: number, features: number): Uint8Array {
  const random = draws();
  const columns = {
    tree: [] as number[],
    node: [] as number[],
    feature: [] as number[],
    value: [] as number[],
    mode: [] as string[],
    yes: [] as number[],
    no: [] as number[],
    leafTree: [] as number[],
    leafNode: [] as number[],
    weight: [] as number[],
  };
  const inner = 2 ** depth - 1;
  for (let tree = 0; tree < trees; tree++) {
    for (let at = 0; at < 2 * inner + 1; at++) {
      const isLeaf = at >= inner;
      columns.tree.push(tree);
      columns.node.push(at);
      columns.feature.push(isLeaf ? 0 : Math.floor(random() * features));
      columns.value.push(isLeaf ? 0 : random());
      columns.mode.push(isLeaf ? "LEAF" : "BRANCH_LEQ");
      columns.yes.push(isLeaf ? 0 : 2 * at + 1);
      columns.no.push(isLeaf ? 0 : 2 * at + 2);
      if (!isLeaf) continue;
      columns.leafTree.push(tree);
      columns.leafNode.push(at);
      columns.weight.push(random());
    }
  }
  const attributes = {
    n_targets: { int: 1 },
    nodes_treeids: { ints: columns.tree },
    nodes_nodeids: { ints: columns.node },
    nodes_featureids: { ints: columns.feature },
    nodes_values: { floats: columns.value },
    nodes_modes: { texts: columns.mode },
    nodes_truenodeids: { ints: columns.yes },
    nodes_falsenodeids: { ints: columns.no },
    target_treeids: { ints: columns.leafTree },
    target_nodeids: { ints: columns.leafNode },
    target_ids: { ints: columns.leafTree.map(() => 0) },
    target_weights: { floats: columns.weight },
  };
  return encodeModel(
    buildModel({
      name: "forest",
      producerVersion: version,
      inputs: [tensorInfo("X", "float32", ["N", features])],
      outputs: [tensorInfo("Y", "float32", ["N", 1])],
      nodes: [node("TreeEnsembleRegressor", ["X"], ["Y"], attributes, mlDomain)],
      initializers: [],
    }),
  );
}

import { elementTypeCode, mlDomain, node, tensor } from "../../../shared/onnx/index.ts";
import type { PredictorGraph } from "../fitting/trainer.ts";
import type { FeatureCoding } from "./bins/features.ts";
import type { Tree } from "./tree.ts";

type Nodes = ReturnType<typeof node>[];
type Tensors = ReturnType<typeof tensor>[];

/**
 * The trees with their preprocessing as ONNX operators. Numbers are compared in double precision, so that a row takes
 * the branch that it took in training; infinite ones count as missing. The ensemble's output is float32 (ai.onnx.ml 3
 * has no other), so the start is added behind it.
 *
 * @param logarithmic whether the score is the logarithm of the prediction
 */
export function treesGraph(
  trees: readonly Tree[],
  start: Float64Array,
  coding: readonly FeatureCoding[],
  logarithmic: boolean,
): PredictorGraph {
  const nodes: Nodes = [];
  const initializers: Tensors = [];
  const columnOf = inputColumns(coding, nodes, initializers);
  nodes.push(
    node(
      "TreeEnsembleRegressor",
      ["ketline:trees.input"],
      ["ketline:trees.float"],
      ensemble(trees, start.length, coding, columnOf),
      mlDomain,
    ),
    node("Cast", ["ketline:trees.float"], ["ketline:trees.sum"], { to: { int: elementTypeCode("float64") } }),
    node("Add", ["ketline:trees.sum", "ketline:trees.start"], ["ketline:score"]),
  );
  initializers.push(tensor("ketline:trees.start", start, [1, start.length]));
  if (!logarithmic) return { nodes, initializers, score: "ketline:score" };
  nodes.push(node("Exp", ["ketline:score"], ["ketline:expected"]));
  return { nodes, initializers, score: "ketline:expected" };
}

/** All features side by side in double precision: numbers first. @returns the column of each feature */
function inputColumns(coding: readonly FeatureCoding[], nodes: Nodes, initializers: Tensors): number[] {
  const double = { to: { int: elementTypeCode("float64") } };
  const numbers = coding.filter(({ kind }) => kind === "numeric");
  const columns: string[] = [];
  if (numbers.length > 0) {
    initializers.push(tensor("ketline:nan", Float64Array.of(Number.NaN), [1, 1]));
    nodes.push(
      node(
        "Concat",
        numbers.map(({ name }) => name),
        ["ketline:numbers.float"],
        { axis: { int: 1 } },
      ),
      node("Cast", ["ketline:numbers.float"], ["ketline:numbers"], double),
      node("IsInf", ["ketline:numbers"], ["ketline:numbers.infinite"]),
      node(
        "Where",
        ["ketline:numbers.infinite", "ketline:nan", "ketline:numbers"],
        ["ketline:numbers.finite"],
      ),
    );
    columns.push("ketline:numbers.finite");
  }
  const columnOf: number[] = [];
  let number = 0;
  let category = numbers.length;
  for (const [index, coded] of coding.entries()) {
    if (coded.kind === "numeric") {
      columnOf.push(number++);
      continue;
    }
    columnOf.push(category++);
    const prefix = `ketline:levels.${index}`;
    nodes.push(levelCode(coded, `${prefix}.code`), node("Cast", [`${prefix}.code`], [prefix], double));
    columns.push(prefix);
  }
  nodes.push(node("Concat", columns, ["ketline:trees.input"], { axis: { int: 1 } }));
  return columnOf;
}

/** Codes count from 1 here: ONNX Runtime merges chains of comparisons with small numbers above 0 into one. */
function levelCode(coded: Extract<FeatureCoding, { kind: "categorical" }>, output: string) {
  const { levels } = coded;
  // An encoder must have a key; this one is no text or number that anybody sends, and has the code of unknown ones.
  const keys =
    coded.input === "text"
      ? { keys_strings: { texts: levels.length > 0 ? coded.levels : ["\u0000"] } }
      : { keys_floats: { floats: levels.length > 0 ? coded.levels : [0] } };
  const attributes = {
    ...keys,
    values_int64s: { ints: levels.length > 0 ? levels.map((_, code) => code + 1) : [1] },
    default_int64: { int: levels.length + 1 },
  };
  return node("LabelEncoder", [coded.name], [output], attributes, mlDomain);
}

/** No number is greater: what is not missing goes left. */
const largest = Number.MAX_VALUE;

/**
 * The attributes of the operator: the nodes of all trees, one column of a table each. A split by a set becomes a chain of
 * comparisons with each of its codes, which share their left child.
 */
function ensemble(
  trees: readonly Tree[],
  outputs: number,
  coding: readonly FeatureCoding[],
  columnOf: readonly number[],
) {
  const modes: string[] = [];
  const values: number[] = [];
  const ints = {
    nodes_treeids: [] as number[],
    nodes_nodeids: [] as number[],
    nodes_featureids: [] as number[],
    nodes_truenodeids: [] as number[],
    nodes_falsenodeids: [] as number[],
    nodes_missing_value_tracks_true: [] as number[],
    target_treeids: [] as number[],
    target_nodeids: [] as number[],
    target_ids: [] as number[],
  };
  const weights: number[] = [];
  const add = (
    tree: number,
    id: number,
    mode: string,
    column: number,
    value: number,
    yes: number,
    no: number,
    missing: number,
  ) => {
    ints.nodes_treeids.push(tree);
    ints.nodes_nodeids.push(id);
    ints.nodes_featureids.push(column);
    ints.nodes_truenodeids.push(yes);
    ints.nodes_falsenodeids.push(no);
    ints.nodes_missing_value_tracks_true.push(missing);
    modes.push(mode);
    values.push(value);
  };
  for (const [index, tree] of trees.entries()) {
    let chained = tree.nodes;
    for (let id = 0; id < tree.nodes; id++) {
      const feature = tree.feature[id] as number;
      const [left, right] = [tree.left[id] as number, tree.right[id] as number];
      if (feature < 0) {
        add(index, id, "LEAF", 0, 0, 0, 0, 0);
        ints.target_treeids.push(index);
        ints.target_nodeids.push(id);
        ints.target_ids.push(index % outputs);
        weights.push(tree.value[id] as number);
        continue;
      }
      const column = columnOf[feature] as number;
      const set = tree.sets[id];
      if (coding[feature]?.kind === "numeric" || set === null || set === undefined) {
        const threshold = Math.min(tree.threshold[id] as number, largest);
        add(index, id, "BRANCH_LEQ", column, threshold, left, right, tree.missingLeft[id] as number);
        continue;
      }
      const codes = Array.from(set.keys()).filter((code) => set[code] === 1);
      for (const [place, code] of codes.entries()) {
        const own = place === 0 ? id : chained++;
        add(index, own, "BRANCH_EQ", column, code + 1, left, place === codes.length - 1 ? right : chained, 0);
      }
    }
  }
  return {
    n_targets: { int: outputs },
    nodes_modes: { texts: modes },
    nodes_values_as_tensor: { tensor: tensor("nodes_values", Float64Array.from(values)) },
    target_weights_as_tensor: { tensor: tensor("target_weights", Float64Array.from(weights)) },
    ...Object.fromEntries(Object.entries(ints).map(([name, list]) => [name, { ints: list }])),
  };
}

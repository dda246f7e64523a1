import { mlDomain, type OnnxModel, type OnnxNode, type OnnxTensor } from "../../../shared/onnx/index.ts";

/*
 * Which operators keep rows apart, followed through the graph: every value is either a constant or has the rows as its
 * first dimension, and stays so. An operator that is not listed here, or that would touch the first dimension, ends it.
 */

/** A value of the graph: a constant, its sizes known where they matter, or rows with so many dimensions in all. */
type Value =
  | {
      readonly kind: "constant";
      readonly dims: readonly number[] | undefined;
      /** Its elements where they are whole numbers, as axes and shapes are. */
      readonly integers: readonly number[] | undefined;
    }
  | { readonly kind: "rows"; readonly rank: number };

/** @returns the number of dimensions of each output, which begins with the rows; undefined when rows might meet */
type Rule = (step: Step) => readonly number[] | undefined;

interface Step {
  readonly node: OnnxNode;
  /** Undefined for an optional input that is left out. */
  readonly inputs: readonly (Value | undefined)[];
  /** Of the first input. */
  readonly rank: number;
}

/** Whether each row of the outputs depends on nothing but the same row of the inputs. */
export function keepsRowsApart({ graph, functions }: OnnxModel): boolean {
  if (functions.length > 0) return false;
  const values = new Map<string, Value>();
  for (const initializer of graph.initializers) values.set(initializer.name, constantOf(initializer));
  for (const { name, type } of graph.inputs) {
    if (values.has(name)) continue;
    const rank = type.kind === "tensor" ? type.shape?.length : undefined;
    if (rank === undefined || rank === 0) return false;
    values.set(name, { kind: "rows", rank });
  }
  for (const node of graph.nodes) {
    if (node.inputs.some((name) => name !== "" && !values.has(name))) return false;
    const outputs = carried(
      node,
      node.inputs.map((name) => values.get(name)),
    );
    if (outputs === undefined || outputs.length < node.outputs.length) return false;
    for (const [index, name] of node.outputs.entries()) {
      const value = outputs[index];
      if (value !== undefined) values.set(name, value);
    }
  }
  return graph.outputs.every(({ name }) => values.get(name)?.kind === "rows");
}

function carried(node: OnnxNode, inputs: readonly (Value | undefined)[]): readonly Value[] | undefined {
  if (inputs.every((value) => value?.kind !== "rows")) return constantResult(node, inputs);
  const rules = node.domain === mlDomain ? mlRules : node.domain === "" ? standardRules : undefined;
  const rule = rules !== undefined && Object.hasOwn(rules, node.operator) ? rules[node.operator] : undefined;
  const [first] = inputs;
  const ranks = rule?.({ node, inputs, rank: first?.kind === "rows" ? first.rank : 0 });
  return ranks?.every((rank) => rank > 0) === true
    ? ranks.map((rank) => ({ kind: "rows", rank }))
    : undefined;
}

/** Of an operator without rows only what surely gives the same each time: a random draw would be shared by all rows. */
function constantResult(
  node: OnnxNode,
  [input]: readonly (Value | undefined)[],
): readonly Value[] | undefined {
  if (node.domain !== "") return undefined;
  if (node.operator === "Cast" || node.operator === "Identity")
    return input === undefined ? undefined : [input];
  const [attribute, second] = node.attributes;
  if (node.operator !== "Constant" || attribute === undefined || second !== undefined) return undefined;
  const [tensor] = attribute.tensors;
  if (tensor !== undefined) return [constantOf(tensor)];
  const sizes: Readonly<Record<string, readonly number[]>> = {
    value_float: [],
    value_int: [],
    value_floats: [attribute.floatCount],
    value_ints: [attribute.intCount],
  };
  const dims = Object.hasOwn(sizes, attribute.name) ? sizes[attribute.name] : undefined;
  const integers = attribute.intCount === attribute.ints.length ? attribute.ints : undefined;
  return dims === undefined ? undefined : [{ kind: "constant", dims, integers }];
}

function constantOf({ dims, integers }: OnnxTensor): Value {
  return { kind: "constant", dims, integers };
}

/** The first input has the rows, and whatever else there is are constants that belong to no row. */
const firstOnly: Rule = ({ inputs: [, ...others], rank }) =>
  rank > 0 && others.every((value) => value?.kind !== "rows") ? [rank] : undefined;

const matrixOnly: Rule = (step) => (step.rank === 2 ? firstOnly(step) : undefined);

/** Broadcasting (ONNX, docs/Broadcasting.md) aligns the last dimensions: the first must be the rows of every operand. */
const broadcast: Rule = ({ inputs }) => {
  const ranks = inputs.flatMap((value) => (value?.kind === "rows" ? [value.rank] : []));
  const [rank = 0] = ranks;
  if (ranks.some((other) => other !== rank)) return undefined;
  const keepsFirst = inputs.every(
    (value) =>
      value?.kind !== "constant" ||
      (value.dims !== undefined &&
        (value.dims.length < rank || (value.dims.length === rank && value.dims[0] === 1))),
  );
  return keepsFirst ? [rank] : undefined;
};

/** Along one dimension, which may be any but the first. */
const alongAxis =
  (usual: number): Rule =>
  (step) =>
    axisOf(step, usual) > 0 ? firstOnly(step) : undefined;

const reduce: Rule = ({ node, inputs, rank }) => {
  const axes = axesOf(node, inputs, rank);
  if (axes === undefined) return undefined;
  return [integerOf(node, "keepdims") === 0 ? rank - axes.length : rank];
};

const argumentOfExtreme: Rule = (step) => {
  if (axisOf(step, 0) < 1) return undefined;
  return [integerOf(step.node, "keepdims") === 0 ? step.rank - 1 : step.rank];
};

const concat: Rule = (step) => {
  const same = step.inputs.every((value) => value?.kind === "rows" && value.rank === step.rank);
  return same && axisOf(step, 0) > 0 ? [step.rank] : undefined;
};

/** With weights, or of the rows of two values of the same form, each matrix with its own. */
const matMul: Rule = ({ inputs: [left, right] }) => {
  if (left?.kind !== "rows" || right === undefined) return undefined;
  if (right.kind === "rows") return left.rank > 2 && left.rank === right.rank ? [left.rank] : undefined;
  const size = right.dims?.length ?? 0;
  if (left.rank < 2 || size < 1 || size > 2) return undefined;
  return [size === 2 ? left.rank : left.rank - 1];
};

const gemm: Rule = ({ node, inputs: [left, right, bias], rank }) => {
  if (left?.kind !== "rows" || rank !== 2 || integerOf(node, "transA") === 1) return undefined;
  if (right?.kind !== "constant") return undefined;
  if (bias === undefined) return [2];
  if (bias.kind === "rows") return bias.rank === 2 ? [2] : undefined;
  const { dims } = bias;
  return dims !== undefined && (dims.length < 2 || dims[0] === 1) ? [2] : undefined;
};

/** Columns of the rows, or for each row entries of a table. */
const gather: Rule = (step) => {
  const [data, indices] = step.inputs;
  if (data?.kind === "rows" && indices?.kind === "constant") {
    if (indices.dims === undefined || axisOf(step, 0) < 1) return undefined;
    return [data.rank - 1 + indices.dims.length];
  }
  if (data?.kind !== "constant" || indices?.kind !== "rows" || data.dims === undefined) return undefined;
  return (integerOf(step.node, "axis") ?? 0) === 0 ? [indices.rank + data.dims.length - 1] : undefined;
};

/** The first size must be that of the rows, or what is left once each row was cut by fixed sizes. */
const reshape: Rule = ({ node, inputs: [data, shape] }) => {
  if (data?.kind !== "rows" || shape?.kind !== "constant" || shape.dims?.length !== 1) return undefined;
  if (integerOf(node, "allowzero") === 1) return undefined;
  const [first, ...rest] = shape.integers ?? [];
  const copies = first === 0;
  if (!copies && first !== -1) return undefined;
  return rest.every((size) => size >= (copies ? -1 : 0)) ? [rest.length + 1] : undefined;
};

const squeeze: Rule = ({ node, inputs, rank }) => {
  const axes = axesOf(node, inputs, rank);
  return axes === undefined ? undefined : [rank - axes.length];
};

const unsqueeze: Rule = ({ node, inputs, rank }) => {
  const added = writtenAxes(node, inputs)?.length ?? 0;
  const axes = axesOf(node, inputs, rank + added);
  return axes === undefined || rank === 0 ? undefined : [rank + added];
};

const classifier: Rule = (step) => (matrixOnly(step) === undefined ? undefined : [1, 2]);

const elementwise =
  "Abs Cast Ceil Clip Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not " +
  "Reciprocal Relu Round Selu Sigmoid Sign Softplus Softsign Sqrt Tanh";
const broadcasting =
  "Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mul Or PRelu Pow Sub Sum Where Xor";
const reductions = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare";

const standardRules: Readonly<Record<string, Rule>> = {
  ...named(elementwise, firstOnly),
  ...named(broadcasting, broadcast),
  ...named(reductions.replace(/\w+/g, "Reduce$&"), reduce),
  ArgMax: argumentOfExtreme,
  ArgMin: argumentOfExtreme,
  BatchNormalization: (step) =>
    step.rank > 1 && integerOf(step.node, "training_mode") !== 1 ? firstOnly(step) : undefined,
  Concat: concat,
  // A third input may turn its random draws on.
  Dropout: (step) => (step.inputs.length < 3 && firstOnly(step) ? [step.rank, step.rank] : undefined),
  Flatten: ({ node, rank }) => (rank > 0 && (integerOf(node, "axis") ?? 1) === 1 ? [2] : undefined),
  Gather: gather,
  Gemm: gemm,
  LayerNormalization: alongAxis(-1),
  LogSoftmax: alongAxis(-1),
  MatMul: matMul,
  Reshape: reshape,
  Softmax: alongAxis(-1),
  Squeeze: squeeze,
  TfIdfVectorizer: matrixOnly,
  Unsqueeze: unsqueeze,
};

const mlRules: Readonly<Record<string, Rule>> = {
  ...named("Binarizer CategoryMapper LabelEncoder", firstOnly),
  // Given one dimension these take all of it for one row.
  ...named("Imputer LinearRegressor Normalizer SVMRegressor Scaler TreeEnsembleRegressor", matrixOnly),
  ...named("LinearClassifier SVMClassifier TreeEnsembleClassifier", classifier),
  ArrayFeatureExtractor: matrixOnly,
  FeatureVectorizer: ({ inputs }) =>
    inputs.every((value) => value?.kind === "rows" && value.rank === 2) ? [2] : undefined,
  OneHotEncoder: ({ rank }) => (rank > 0 ? [rank + 1] : undefined),
};

function named(operators: string, rule: Rule): Record<string, Rule> {
  return Object.fromEntries(operators.split(" ").map((operator) => [operator, rule]));
}

function integerOf(node: OnnxNode, name: string): number | undefined {
  const found = node.attributes.find((attribute) => attribute.name === name);
  return found === undefined ? undefined : found.int;
}

/** Counted from the front; negative when there is no such dimension. */
function axisOf({ node, rank }: Step, usual: number): number {
  const axis = integerOf(node, "axis") ?? usual;
  return axis < 0 ? axis + rank : axis < rank ? axis : -1;
}

/** The attribute `axes`, which newer versions of the operators take as their second input. */
function writtenAxes(
  node: OnnxNode,
  [, second]: readonly (Value | undefined)[],
): readonly number[] | undefined {
  const attribute = node.attributes.find(({ name }) => name === "axes");
  if (attribute !== undefined)
    return attribute.intCount === attribute.ints.length ? attribute.ints : undefined;
  return second?.kind === "constant" ? second.integers : undefined;
}

/** Counted from the front; undefined when they are not known, none, or the first dimension is among them. */
function axesOf(
  node: OnnxNode,
  inputs: readonly (Value | undefined)[],
  rank: number,
): readonly number[] | undefined {
  const axes = writtenAxes(node, inputs)?.map((axis) => (axis < 0 ? axis + rank : axis));
  if (axes === undefined || axes.length === 0) return undefined;
  return axes.every((axis) => axis > 0 && axis < rank) ? axes : undefined;
}

import { mlDomain, type OnnxNode } from "../../../shared/onnx/index.ts";
import { inlineMlRules } from "./ml-operators.ts";
import { fixedSize, isOne, isSame, product, quotient, type Size, times } from "./size.ts";
import {
  attributeOf,
  axesIn,
  axisOf,
  type InlineRule,
  inRank,
  integerOf,
  isNumeric,
  listOf,
  made,
  typeOfCode,
  type Value,
  valueWith,
} from "./values.ts";

/*
 * The standard operators that may run inside the server. Each rule says what comes out and how much work it is at most.
 * Not here, whatever they would cost: operators with graphs inside, those that take a size from a value (Range, OneHot,
 * Tile, Expand, ConstantOfShape, Resize, Pad, windows, random draws), those of other domains, and divisions of whole
 * numbers, which end the process at a zero.
 */

export function inlineRuleOf({ domain, operator }: OnnxNode): InlineRule | undefined {
  return domain === ""
    ? standardRules.get(operator)
    : domain === mlDomain
      ? inlineMlRules.get(operator)
      : undefined;
}

const cheap = 4;
/** Exponentials, roots, and conversions from and to text. */
const dear = 60;

/** One input, the same form out. */
const unary =
  (types: readonly Value["type"][], perElement: number): InlineRule =>
  ({ inputs: [value] }) =>
    value !== undefined && types.includes(value.type)
      ? made(valueWith(value.type, value.dims, value.textBytes), perElement)
      : undefined;

const floats = ["float"] as const;
const numbers = ["float", "integer"] as const;

const identity: InlineRule = ({ inputs: [value] }) =>
  value === undefined ? undefined : made(value, value.type === "text" ? dear : cheap);

const clip: InlineRule = (step) =>
  step.inputs.slice(1).every((value) => value === undefined || value.dims.length === 0 || isOneElement(value))
    ? unary(numbers, cheap)(step)
    : undefined;

const isOneElement = ({ dims }: Value) => isOne(product(dims));

/** A number as text has at most so many bytes. */
const numberTextBytes = 32;

const cast: InlineRule = ({ node, inputs: [value] }) => {
  const type = typeOfCode(integerOf(node, "to") ?? 0);
  if (value === undefined || type === undefined) return undefined;
  const withText = type === "text" || value.type === "text";
  const textBytes = type !== "text" ? 0 : value.type === "text" ? value.textBytes : numberTextBytes;
  const integers = type === "integer" ? value.integers : undefined;
  return made({ ...valueWith(type, value.dims, textBytes), integers }, withText ? 4 * dear : cheap);
};

const predicate: InlineRule = ({ inputs: [value] }) =>
  value?.type === "float" ? made(valueWith("boolean", value.dims), cheap) : undefined;

/** Broadcasting (ONNX, docs/Broadcasting.md). @returns undefined where the outcome depends on what an input turns out to be */
export function broadcastDims(values: readonly Value[]): readonly Size[] | undefined {
  const rank = Math.max(0, ...values.map(({ dims }) => dims.length));
  const outcome: Size[] = [];
  for (let axis = 0; axis < rank; axis++) {
    let found = fixedSize(1);
    for (const { dims } of values) {
      const size = dims[axis - rank + dims.length];
      if (size === undefined || isOne(size) || isSame(size, found)) continue;
      // A named size beside a number is that number, or 1.
      if (isOne(found) || (found.names.length > 0 && size.names.length === 0)) found = size;
      else if (size.names.length === 0 || found.names.length > 0) return undefined;
    }
    outcome.push(found);
  }
  return outcome;
}

const broadcast =
  (types: readonly Value["type"][], perElement: number, result?: Value["type"]): InlineRule =>
  ({ inputs }) => {
    const values = inputs.filter((value) => value !== undefined);
    const [first] = values;
    if (first === undefined || values.length < inputs.length) return undefined;
    if (!values.every(({ type }) => types.includes(type))) return undefined;
    const dims = broadcastDims(values);
    if (dims === undefined) return undefined;
    return made(valueWith(result ?? first.type, dims), perElement * Math.max(1, values.length));
  };

const where: InlineRule = (step) => {
  const [condition, ...values] = step.inputs;
  if (condition?.type !== "boolean" || values.length !== 2 || !values.every(isNumeric)) return undefined;
  const dims = broadcastDims([condition, ...values]);
  const type = values[0]?.type;
  return dims === undefined || type === undefined ? undefined : made(valueWith(type, dims), cheap);
};

const reduce: InlineRule = (step) => {
  const { node, inputs } = step;
  const [value] = inputs;
  if (value?.type !== "float") return undefined;
  const rank = value.dims.length;
  const isGiven = attributeOf(node, "axes") !== undefined || inputs[1] !== undefined;
  if (!isGiven && integerOf(node, "noop_with_empty_axes") === 1) return undefined;
  const axes = isGiven ? axesIn(listOf(step, "axes", 1), rank) : value.dims.map((_, axis) => axis);
  if (axes === undefined || axes.length === 0) return undefined;
  return reduced(value, axes, integerOf(node, "keepdims") !== 0, "float");
};

function reduced(value: Value, axes: readonly number[], keeps: boolean, type: Value["type"]) {
  const dims = value.dims.flatMap((size, axis) =>
    axes.includes(axis) ? (keeps ? [fixedSize(1)] : []) : [size],
  );
  return { outputs: [valueWith(type, dims)], work: times(product(value.dims), dear) };
}

const argumentOfExtreme: InlineRule = ({ node, inputs: [value] }) => {
  if (value === undefined || !numbers.some((type) => type === value.type)) return undefined;
  const axis = axisOf(node, value.dims.length, 0);
  return axis === undefined
    ? undefined
    : reduced(value, [axis], integerOf(node, "keepdims") !== 0, "integer");
};

const batchNormalization: InlineRule = (step) =>
  integerOf(step.node, "training_mode") === 1 || step.inputs.length !== 5
    ? undefined
    : unary(floats, cheap)(step);

const dropout: InlineRule = ({ inputs }) => {
  const [value] = inputs;
  if (value?.type !== "float" || inputs.length > 2) return undefined;
  const mask = valueWith("boolean", value.dims);
  return { outputs: [value, mask], work: times(product(value.dims), cheap) };
};

const concat: InlineRule = ({ node, inputs }) => {
  const values = inputs.filter((value) => value !== undefined);
  const [first] = values;
  if (first === undefined || values.length < inputs.length) return undefined;
  const axis = axisOf(
    node,
    first.dims.length,
    node.attributes.some(({ name }) => name === "axis") ? 0 : -1e9,
  );
  if (axis === undefined) return undefined;
  const parts: Size[] = [];
  for (const { type, dims } of values) {
    const part = dims[axis];
    if (type !== first.type || dims.length !== first.dims.length || part === undefined) return undefined;
    parts.push(part);
  }
  // Along the others the runtime takes nothing but equal sizes.
  const [one = fixedSize(1)] = parts;
  if (!parts.every(({ names }) => names.join() === one.names.join())) return undefined;
  const sum = { factor: parts.reduce((all, { factor }) => all + factor, 0), names: one.names };
  const textBytes = Math.max(...values.map((value) => value.textBytes));
  return made(
    valueWith(first.type, first.dims.with(axis, sum), textBytes),
    first.type === "text" ? dear : cheap,
  );
};

const flatten: InlineRule = ({ node, inputs: [value] }) => {
  if (value === undefined) return undefined;
  const axis = integerOf(node, "axis") ?? 1;
  const front = axis < 0 ? axis + value.dims.length : axis;
  if (front < 0 || front > value.dims.length) return undefined;
  return reshaped(value, [product(value.dims.slice(0, front)), product(value.dims.slice(front))]);
};

function reshaped(value: Value, dims: readonly Size[]) {
  return made(valueWith(value.type, dims, value.textBytes), value.type === "text" ? dear : cheap);
}

const reshape: InlineRule = ({ node, inputs: [value, shape] }) => {
  if (value === undefined || shape?.integers === undefined || integerOf(node, "allowzero") === 1)
    return undefined;
  const known: Size[] = [];
  let open: number | undefined;
  for (const [axis, size] of shape.integers.entries()) {
    const copied = value.dims[axis];
    if (size === -1 && open === undefined) open = axis;
    else if (size === 0 && copied !== undefined) known.push(copied);
    else if (size > 0) known.push(fixedSize(size));
    else return undefined;
  }
  const rest = quotient(product(value.dims), product(known));
  if (rest === undefined || (open === undefined && !isOne(rest))) return undefined;
  return reshaped(value, open === undefined ? known : known.toSpliced(open, 0, rest));
};

const squeeze: InlineRule = (step) => {
  const [value] = step.inputs;
  const axes = value === undefined ? undefined : axesIn(listOf(step, "axes", 1), value.dims.length);
  if (value === undefined || axes === undefined || axes.length === 0) return undefined;
  return reshaped(
    value,
    value.dims.filter((_, axis) => !axes.includes(axis)),
  );
};

const unsqueeze: InlineRule = (step) => {
  const [value] = step.inputs;
  const written = listOf(step, "axes", 1);
  if (value === undefined || written === undefined) return undefined;
  const rank = value.dims.length + written.length;
  const axes = axesIn(written, rank);
  if (axes === undefined) return undefined;
  const left = [...value.dims];
  const dims = Array.from({ length: rank }, (_, axis) =>
    axes.includes(axis) ? fixedSize(1) : (left.shift() ?? fixedSize(1)),
  );
  return reshaped(value, dims);
};

const transpose: InlineRule = (step) => {
  const { node, inputs } = step;
  const [value] = inputs;
  if (value === undefined) return undefined;
  const rank = value.dims.length;
  const isGiven = attributeOf(node, "perm") !== undefined;
  const order = isGiven
    ? axesIn(listOf(step, "perm", -1), rank)
    : value.dims.map((_, axis) => rank - 1 - axis);
  if (order?.length !== rank) return undefined;
  return reshaped(
    value,
    order.map((axis) => value.dims[axis] ?? fixedSize(1)),
  );
};

/** Of texts that are sent nothing is taken twice: one of them may be as long as all others together. */
const gather: InlineRule = ({ node, inputs: [data, indices] }) => {
  if (data === undefined || indices?.type !== "integer") return undefined;
  if (data.type === "text" && !data.isConstant) return undefined;
  const axis = axisOf(node, data.dims.length, 0);
  if (axis === undefined) return undefined;
  const dims = [...data.dims.slice(0, axis), ...indices.dims, ...data.dims.slice(axis + 1)];
  return made(valueWith(data.type, dims, data.textBytes), data.type === "text" ? dear : cheap);
};

/** Constant bounds along dimensions of a known size; what is left must be something. */
const slice: InlineRule = (step) => {
  const { inputs } = step;
  const [value] = inputs;
  const starts = listOf(step, "starts", 1);
  const ends = listOf(step, "ends", 2);
  const axes =
    listOf(step, "axes", 3) ?? (inputs[3] === undefined ? starts?.map((_, axis) => axis) : undefined);
  const steps = inputs[4] === undefined ? starts?.map(() => 1) : inputs[4].integers;
  if (value === undefined || !starts || !ends || !axes || !steps) return undefined;
  if ([ends, axes, steps].some(({ length }) => length !== starts.length)) return undefined;
  let dims = value.dims;
  for (const [index, written] of axes.entries()) {
    const axis = inRank(written, dims.length);
    const size = axis === undefined ? undefined : dims[axis];
    if (axis === undefined || size === undefined || size.names.length > 0 || steps[index] !== 1)
      return undefined;
    const bound = (at: number) => Math.min(size.factor, Math.max(0, at < 0 ? at + size.factor : at));
    const length = bound(ends[index] ?? 0) - bound(starts[index] ?? 0);
    if (length < 1) return undefined;
    dims = dims.with(axis, fixedSize(length));
  }
  return reshaped(value, dims);
};

const matMul: InlineRule = ({ inputs: [left, right] }) => {
  if (left?.type !== "float" || right?.type !== "float") return undefined;
  if (left.dims.length < 2 || right.dims.length < 2) return undefined;
  const [rows, inner] = left.dims.slice(-2);
  const columns = right.dims.at(-1);
  const batch = broadcastDims([left, right].map(({ dims }) => valueWith("float", dims.slice(0, -2))));
  if (rows === undefined || inner === undefined || columns === undefined || batch === undefined)
    return undefined;
  const dims = [...batch, rows, columns];
  return { outputs: [valueWith("float", dims)], work: product([...dims, inner, fixedSize(cheap)]) };
};

const gemm: InlineRule = ({ node, inputs: [left, right, bias] }) => {
  if (left?.type !== "float" || right?.type !== "float" || (bias !== undefined && bias.type !== "float")) {
    return undefined;
  }
  const [rows, inner] = integerOf(node, "transA") === 1 ? left.dims.toReversed() : left.dims;
  const columns = (integerOf(node, "transB") === 1 ? right.dims.toReversed() : right.dims)[1];
  if (left.dims.length !== 2 || right.dims.length !== 2) return undefined;
  if (rows === undefined || inner === undefined || columns === undefined) return undefined;
  const dims = [rows, columns];
  return { outputs: [valueWith("float", dims)], work: product([...dims, inner, fixedSize(cheap)]) };
};

/** With its one output: the others are seldom asked for. */
const single =
  (rule: InlineRule): InlineRule =>
  (step) =>
    step.node.outputs.length === 1 ? rule(step) : undefined;

const standardRules: ReadonlyMap<string, InlineRule> = new Map<string, InlineRule>([
  ...named("Abs Ceil Floor Neg Reciprocal Relu Round Sign LeakyRelu", unary(floats, cheap)),
  ...named(
    "Elu Erf Exp Gelu HardSigmoid HardSwish Log LogSoftmax Mish Selu Sigmoid Softmax Softplus Softsign Sqrt Tanh",
    unary(floats, dear),
  ),
  ["Identity", identity],
  ["Clip", clip],
  ["Cast", cast],
  ["Not", unary(["boolean"], cheap)],
  ...named("IsInf IsNaN", predicate),
  ...named("Add Mul Sub", broadcast(numbers, cheap)),
  ...named("Div Max Min PRelu Sum Mean", broadcast(floats, cheap)),
  ["Pow", broadcast(floats, dear)],
  ...named("And Or Xor", broadcast(["boolean"], cheap)),
  ...named("Equal Greater GreaterOrEqual Less LessOrEqual", broadcast(numbers, cheap, "boolean")),
  ["Where", where],
  ...named(
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare",
    reduce,
  ),
  ...named("ArgMax ArgMin", argumentOfExtreme),
  ["BatchNormalization", single(batchNormalization)],
  ["LayerNormalization", single(unary(floats, dear))],
  ["Dropout", dropout],
  ["Concat", concat],
  ["Flatten", flatten],
  ["Gather", gather],
  ["Gemm", gemm],
  ["MatMul", matMul],
  ["Reshape", reshape],
  ["Slice", slice],
  ["Squeeze", squeeze],
  ["Transpose", transpose],
  ["Unsqueeze", unsqueeze],
]);

function named(operators: string, rule: InlineRule): (readonly [string, InlineRule])[] {
  return operators.split(" ").map((operator) => [operator, rule] as const);
}

import type { ByteSource, OnnxModel, OnnxNode, OnnxTensor } from "../../../shared/onnx/index.ts";
import { dimensionName } from "../tensors/signature.ts";
import type { Tensors } from "../tensors/tensors.ts";
import { inlineRuleOf } from "./operators.ts";
import { type Bound, boundBy, fixedSize, product, type Size, times } from "./size.ts";
import { typeOfCode, type Value, type ValueType } from "./values.ts";

/*
 * Whether a model may run inside the server's own process, where nothing can stop it (docs/adr: inline models). Only
 * when all its operators are of a list whose work and memory follow from the sizes of their inputs, and cannot trap; then
 * this says how much one run costs at most, before any run.
 */

/** What one run takes at most. Operations are simple ones, about a nanosecond each. */
export interface InlineCost {
  readonly operations: Bound;
  readonly bytes: Bound;
}

/** Of one run in the server: about 20 ms if the bound were ever reached, and memory that is given back after it. */
const maxOperations = 2e7;
const maxBytes = 16 * 1024 ** 2;

/** What the runtime does for an operator whatever its size. */
const operationsPerNode = 1000;
const bytesPerElement = 8;
/** Broadcasting has meant what it means today since then, and ONNX Runtime tests nothing older. */
const oldestOpset = 7;

/** @returns null when the cost of a run cannot be told from the model: it must not run in the server */
export function inlineCostOf({ graph, functions, opsets }: OnnxModel, source: ByteSource): InlineCost | null {
  if (functions.length > 0 || graph.sparseInitializers.length > 0) return null;
  if ((opsets.get("") ?? oldestOpset) < oldestOpset) return null;
  const values = new Map<string, Value>();
  const initialised = new Set<string>();
  for (const tensor of graph.initializers) {
    const value = constantOf(tensor);
    if (value === undefined) return null;
    values.set(tensor.name, value);
    initialised.add(tensor.name);
  }
  const inputSizes: Size[] = [];
  for (const { name, type } of graph.inputs) {
    // Files before version 4 list their weights among the inputs; what a caller may leave out is no constant, and not here.
    if (initialised.has(name)) continue;
    if (type.kind !== "tensor" || type.shape === null) return null;
    const valueType = typeOfCode(type.elementType);
    const dims = type.shape.map((size, axis) =>
      typeof size === "number"
        ? fixedSize(size)
        : { factor: 1, names: [dimensionName(size ?? "") || `${name}\t${axis}`] },
    );
    if (valueType === undefined || dims.some(({ factor }) => factor < 1)) return null;
    values.set(name, { type: valueType, dims, textBytes: 0, integers: undefined, isConstant: false });
    inputSizes.push(product(dims));
  }
  const operations = sumOfBounds();
  const bytes = sumOfBounds();
  for (const node of graph.nodes) {
    const step = outputsOf(node, values, source);
    if (step === undefined || step.outputs.length < node.outputs.length) return null;
    if (!operations.add(boundBy(step.work, inputSizes))) return null;
    operations.add({ fixed: operationsPerNode, perElement: 0 });
    for (const [index, name] of node.outputs.entries()) {
      const value = step.outputs[index];
      if (name === "" || value === undefined) continue;
      const size = times(product(value.dims), bytesPerElement + value.textBytes);
      if (!bytes.add(boundBy(size, inputSizes))) return null;
      values.set(name, value);
    }
  }
  if (graph.outputs.some(({ name }) => !values.has(name))) return null;
  const cost = { operations: operations.sum(), bytes: bytes.sum() };
  const smallest = inputSizes.reduce((sum, { factor }) => sum + factor, 0);
  return isAffordable(cost, smallest) ? cost : null;
}

/** Whether a run of inputs of this size (see `inlineSizeOf`) keeps within what the server can bear. */
export function isAffordable({ operations, bytes }: InlineCost, size: number): boolean {
  return (
    operations.fixed + operations.perElement * size <= maxOperations &&
    bytes.fixed + bytes.perElement * size <= maxBytes
  );
}

/** Elements of all tensors, long texts counted by their length. Infinite where one is empty: the bounds begin at 1. */
export function inlineSizeOf(inputs: Tensors): number {
  let size = 0;
  for (const name in inputs) {
    const data = inputs[name]?.data;
    if (data === undefined || data.length === 0) return Number.POSITIVE_INFINITY;
    size += data.length;
    if (Array.isArray(data)) for (const text of data) size += text.length / bytesPerElement;
  }
  return size;
}

function outputsOf(node: OnnxNode, values: ReadonlyMap<string, Value>, source: ByteSource) {
  if (node.attributes.some(({ graphs, sparseTensors }) => graphs.length > 0 || sparseTensors.length > 0)) {
    return undefined;
  }
  if (node.operator === "Constant" && node.domain === "") {
    const value = constantNode(node);
    return value === undefined ? undefined : { outputs: [value], work: fixedSize(0) };
  }
  const inputs: (Value | undefined)[] = [];
  for (const name of node.inputs) {
    const value = values.get(name);
    if (value === undefined && name !== "") return undefined;
    inputs.push(value);
  }
  return inlineRuleOf(node)?.({ node, source, inputs });
}

function constantNode({ attributes }: OnnxNode): Value | undefined {
  const [attribute, second] = attributes;
  if (attribute === undefined || second !== undefined) return undefined;
  const [tensor] = attribute.tensors;
  if (attribute.name === "value" && tensor !== undefined) return constantOf(tensor);
  const constant = (type: ValueType, dims: readonly number[], integers?: readonly number[]): Value => ({
    type,
    dims: dims.map(fixedSize),
    textBytes: 0,
    integers,
    isConstant: true,
  });
  switch (attribute.name) {
    case "value_float":
      return constant("float", []);
    case "value_int":
      return constant("integer", [], [attribute.int]);
    case "value_floats":
      return attribute.floatCount === 0 ? undefined : constant("float", [attribute.floatCount]);
    case "value_ints":
      return attribute.intCount === 0
        ? undefined
        : constant(
            "integer",
            [attribute.intCount],
            attribute.ints.length === attribute.intCount ? attribute.ints : undefined,
          );
    default:
      return undefined;
  }
}

function constantOf({ dataType, dims, integers, span, external }: OnnxTensor): Value | undefined {
  const type = typeOfCode(dataType);
  if (type === undefined || external !== null || dims.some((size) => size < 1)) return undefined;
  const textBytes = type === "text" ? span.end - span.start : 0;
  return { type, dims: dims.map(fixedSize), textBytes, integers, isConstant: true };
}

function sumOfBounds() {
  let fixed = 0;
  let perElement = 0;
  return {
    /** @returns false for what has no bound */
    add(bound: Bound | undefined): boolean {
      fixed += bound?.fixed ?? 0;
      perElement += bound?.perElement ?? 0;
      return bound !== undefined;
    },
    sum: (): Bound => ({ fixed, perElement }),
  };
}

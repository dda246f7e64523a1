import type { Span } from "./span.ts";

/*
 * An ONNX model as far as it has to be known before it is run: what it is made of, not the numbers in it. Numbers beyond
 * 2^53 are rounded.
 */

export interface OnnxModel {
  readonly irVersion: number;
  /** Who wrote it, e.g. `skl2onnx 1.20.0`. */
  readonly producer: string;
  /** The version of each set of operators; "" is the standard one. */
  readonly opsets: ReadonlyMap<string, number>;
  /** What the model says about itself, by key; of a repeated key the last one counts. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: OnnxGraph;
  readonly functions: readonly OnnxFunction[];
  readonly span: Span;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly sparseInitializers: readonly OnnxSparseTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly span: Span;
}

/** An operator that the model makes of others. */
export interface OnnxFunction {
  readonly domain: string;
  readonly name: string;
  /** Tells functions of one name apart; mostly "". */
  readonly overload: string;
  readonly nodes: readonly OnnxNode[];
  /** Those with a default; their graphs belong to the model too. */
  readonly attributes: readonly OnnxAttribute[];
  readonly span: Span;
}

export interface OnnxNode {
  readonly operator: string;
  /** "" for the standard operators, whose domain is also written `ai.onnx`. */
  readonly domain: string;
  /** Of the function that is called, see there. */
  readonly overload: string;
  readonly name: string;
  /** An input that is left out is "". */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly OnnxAttribute[];
  readonly span: Span;
}

export interface OnnxAttribute {
  readonly name: string;
  readonly int: number;
  readonly float: number;
  /** Undefined when it is long. */
  readonly text: string | undefined;
  /** The first of them, see `keptIntegers`. */
  readonly ints: readonly number[];
  readonly intCount: number;
  readonly floatCount: number;
  readonly textCount: number;
  readonly tensors: readonly OnnxTensor[];
  readonly sparseTensors: readonly OnnxSparseTensor[];
  readonly graphs: readonly OnnxGraph[];
  /** The attribute of the function's caller that gives the value; "" when it is here. */
  readonly reference: string;
  readonly span: Span;
}

/** How many integers of a list are kept: axes and shapes are short. */
export const keptIntegers = 64;

export interface OnnxTensor {
  readonly name: string;
  /** See `dataTypes`. */
  readonly dataType: number;
  readonly dims: readonly number[];
  /** As it is written in the model: 0 where the elements lie in another file. */
  readonly dataBytes: number;
  /** The elements of a tensor of whole numbers with at most `keptIntegers` of them, if they lie in the model. */
  readonly integers: readonly number[] | undefined;
  readonly external: ExternalData | null;
  readonly span: Span;
}

export interface OnnxSparseTensor {
  readonly name: string;
  /** The values and their places. */
  readonly parts: readonly OnnxTensor[];
}

export interface ExternalData {
  /** As the model writes it: a path relative to the model's folder, if it is well-behaved. */
  readonly location: string;
  readonly offset: number;
  /** To the end of the file when not given. */
  readonly length?: number;
}

/** An input or output of a graph. */
export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly span: Span;
}

export type OnnxType =
  | {
      readonly kind: "tensor" | "sparse";
      /** See `dataTypes`. */
      readonly elementType: number;
      /** Sizes, names of sizes, null where there is neither; null when the number of dimensions is open. */
      readonly shape: readonly (number | string | null)[] | null;
    }
  | { readonly kind: "sequence" | "optional"; readonly element: OnnxType }
  | { readonly kind: "map"; readonly keyType: number; readonly value: OnnxType }
  | { readonly kind: "opaque" }
  /** The model does not say. */
  | { readonly kind: "open" };

/** Element types by their number (onnx.proto, `TensorProto.DataType`). */
export const dataTypes: ReadonlyMap<number, string> = new Map(
  (
    "float uint8 int8 uint16 int16 int32 int64 string bool float16 double uint32 uint64 complex64 complex128 bfloat16 " +
    "float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 float4e2m1 float8e8m0 uint2 int2 float6e2m3 float6e3m2"
  )
    .split(" ")
    .map((name, index) => [index + 1, name]),
);

/** A type as ONNX writes it, e.g. `seq(map(int64,tensor(float)))`. */
export function typeText(type: OnnxType): string {
  switch (type.kind) {
    case "tensor":
      return `tensor(${elementTypeText(type.elementType)})`;
    case "sparse":
      return `sparse_tensor(${elementTypeText(type.elementType)})`;
    case "sequence":
      return `seq(${typeText(type.element)})`;
    case "optional":
      return `optional(${typeText(type.element)})`;
    case "map":
      return `map(${elementTypeText(type.keyType)},${typeText(type.value)})`;
    default:
      return type.kind;
  }
}

function elementTypeText(code: number): string {
  return dataTypes.get(code) ?? `type ${code}`;
}

/** Every node: of the graph, of the graphs inside its attributes (If, Loop, Scan) and of the model's own functions. */
export function* modelNodes(model: OnnxModel): Generator<OnnxNode> {
  const pending: (readonly OnnxNode[])[] = [model.graph.nodes];
  for (const { nodes, attributes } of model.functions) {
    pending.push(nodes);
    for (const graph of attributes.flatMap(({ graphs }) => graphs)) pending.push(graph.nodes);
  }
  for (let nodes = pending.pop(); nodes !== undefined; nodes = pending.pop()) {
    for (const node of nodes) {
      yield node;
      for (const { graphs } of node.attributes) for (const graph of graphs) pending.push(graph.nodes);
    }
  }
}

export interface OperatorCount {
  readonly domain: string;
  readonly operator: string;
  readonly count: number;
}

/** The operators that a model uses, in the order of domain and name. */
export function modelOperators(model: OnnxModel): OperatorCount[] {
  const counts = new Map<string, { domain: string; operator: string; count: number }>();
  for (const { domain, operator } of modelNodes(model)) {
    const key = `${domain}\n${operator}`;
    const found = counts.get(key);
    if (found === undefined) counts.set(key, { domain, operator, count: 1 });
    else found.count++;
  }
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

/** The tensors that a model keeps in other files, wherever in the model they are. Locations are not checked. */
export function modelExternalData(model: OnnxModel): (ExternalData & { readonly tensor: string })[] {
  const found: (ExternalData & { readonly tensor: string })[] = [];
  for (const { name, external } of modelTensors(model)) {
    if (external !== null) found.push({ tensor: name, ...external });
  }
  return found;
}

/** Every tensor: the initializers of all graphs, and those in attributes. */
export function* modelTensors(model: OnnxModel): Generator<OnnxTensor> {
  yield* initializersOf(model.graph);
  for (const { attributes } of model.functions) yield* tensorsInside(attributes);
  for (const { attributes } of modelNodes(model)) yield* tensorsInside(attributes);
}

function* tensorsInside(attributes: readonly OnnxAttribute[]): Generator<OnnxTensor> {
  for (const { tensors, sparseTensors, graphs } of attributes) {
    yield* tensors;
    for (const { parts } of sparseTensors) yield* parts;
    for (const graph of graphs) yield* initializersOf(graph);
  }
}

function* initializersOf(graph: OnnxGraph): Generator<OnnxTensor> {
  yield* graph.initializers;
  for (const { parts } of graph.sparseInitializers) yield* parts;
}

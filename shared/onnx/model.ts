import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
} from "onnx-buf";
import { invalid, tooLarge } from "../errors.ts";

/** Protobuf's own limit for one message; what is larger keeps its tensors in files beside the model. */
const protobufLimit = 2 ** 31 - 1;

/**
 * Parses an ONNX file. Fields that this schema does not know are kept and written again.
 *
 * @param options.maxBytes the largest file taken; 2 GiB, protobuf's own limit, by default
 * @throws tooLarge past the limit; invalid when the bytes are not an ONNX model with a graph.
 */
export function decodeModel(bytes: Uint8Array, options: { readonly maxBytes?: number } = {}): ModelProto {
  const maxBytes = Math.min(options.maxBytes ?? protobufLimit, protobufLimit);
  if (bytes.byteLength > maxBytes) {
    throw tooLarge(`The ONNX model has ${bytes.byteLength} bytes; at most ${maxBytes} are taken here.`);
  }
  const model = parse(bytes);
  // Garbage often parses as protobuf with unknown fields; a real model names its format version and has a graph.
  if (model.irVersion <= 0n || model.graph === undefined) {
    throw invalid("The file is not an ONNX model: it has no IR version or no graph.");
  }
  return model;
}

function parse(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid(`The file is not an ONNX model: ${reason}.`, { cause: error });
  }
}

export function encodeModel(model: ModelProto): Uint8Array<ArrayBuffer> {
  return toBinary(ModelProtoSchema, model);
}

/** What the model says about itself, by key; of a repeated key the last one counts. */
export function modelMetadata(model: ModelProto): ReadonlyMap<string, string> {
  return new Map(model.metadataProps.map(({ key, value }) => [key, value]));
}

/** Sets entries of `metadata_props` in place, the others stay. */
export function setModelMetadata(model: ModelProto, entries: Readonly<Record<string, string>>): void {
  const merged = new Map([...modelMetadata(model), ...Object.entries(entries)]);
  model.metadataProps = [...merged].map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
}

/** Every node: of the graph, of the graphs inside its attributes (If, Loop, Scan) and of the model's own functions. */
export function* modelNodes(model: ModelProto): Generator<NodeProto> {
  const pending: (readonly NodeProto[])[] = [
    model.graph?.node ?? [],
    ...model.functions.map((definition) => definition.node),
  ];
  for (let nodes = pending.pop(); nodes !== undefined; nodes = pending.pop()) {
    for (const node of nodes) {
      yield node;
      for (const graph of graphsInside(node)) pending.push(graph.node);
    }
  }
}

export interface OperatorCount {
  /** Empty for the standard operators. */
  readonly domain: string;
  readonly operator: string;
  readonly count: number;
}

/** The operators that a model uses, in the order of domain and name. `ai.onnx` is the empty domain's other name. */
export function modelOperators(model: ModelProto): OperatorCount[] {
  const counts = new Map<string, { domain: string; operator: string; count: number }>();
  for (const { domain: written, opType: operator } of modelNodes(model)) {
    const domain = written === "ai.onnx" ? "" : written;
    const key = `${domain}\n${operator}`;
    const found = counts.get(key);
    if (found === undefined) counts.set(key, { domain, operator, count: 1 });
    else found.count++;
  }
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

export interface ExternalData {
  readonly tensor: string;
  /** As the model writes it: a path relative to the model's folder, if it is well-behaved. */
  readonly location: string;
  readonly offset: number;
  /** To the end of the file when not given. */
  readonly length?: number;
}

/** The tensors that a model keeps in other files, wherever in the model they are. Locations are not checked. */
export function modelExternalData(model: ModelProto): ExternalData[] {
  const found: ExternalData[] = [];
  for (const tensor of modelTensors(model)) {
    if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL && tensor.externalData.length === 0)
      continue;
    const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
    const length = entries.get("length");
    found.push({
      tensor: tensor.name,
      location: entries.get("location") ?? "",
      offset: Number(entries.get("offset") ?? 0),
      ...(length === undefined ? {} : { length: Number(length) }),
    });
  }
  return found;
}

function* modelTensors(model: ModelProto): Generator<TensorProto> {
  if (model.graph !== undefined) yield* initializers(model.graph);
  for (const node of modelNodes(model)) {
    for (const attribute of node.attribute) {
      if (attribute.t !== undefined) yield attribute.t;
      yield* attribute.tensors;
      for (const sparse of [attribute.sparseTensor, ...attribute.sparseTensors]) {
        if (sparse?.values !== undefined) yield sparse.values;
        if (sparse?.indices !== undefined) yield sparse.indices;
      }
    }
    for (const graph of graphsInside(node)) yield* initializers(graph);
  }
}

function* initializers(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const { values, indices } of graph.sparseInitializer) {
    if (values !== undefined) yield values;
    if (indices !== undefined) yield indices;
  }
}

function graphsInside(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]));
}

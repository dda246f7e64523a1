import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./schema/onnx_pb.js";

export type { ModelProto };

/** The operators of classical machine learning: encoders, tree ensembles. */
export const mlDomain = "ai.onnx.ml";

/** Format and operator versions of what Ketline writes: read by every runtime since 2022. */
const irVersion = 8n;
const standardOpset = 17n;
const mlOpset = 3n;

/** The kind is always said: ONNX tells 1 from 1.0, JavaScript does not. */
export type AttributeValue =
  | { readonly float: number }
  | { readonly int: number | bigint }
  | { readonly text: string }
  | { readonly tensor: TensorProto }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly (number | bigint)[] }
  | { readonly texts: readonly string[] };

/** One operator, named after its first output, so that a graph reads as a list of named steps. */
export function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  domain = "",
): NodeProto {
  return create(NodeProtoSchema, {
    opType: operator,
    domain,
    name: outputs[0] ?? operator,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  });
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  const type = AttributeProto_AttributeType;
  const of = (fields: Partial<Omit<AttributeProto, "$typeName" | "$unknown">>) =>
    create(AttributeProtoSchema, { name, ...fields });
  if ("float" in value) return of({ type: type.FLOAT, f: value.float });
  if ("int" in value) return of({ type: type.INT, i: BigInt(value.int) });
  if ("text" in value) return of({ type: type.STRING, s: utf8(value.text) });
  if ("tensor" in value) return of({ type: type.TENSOR, t: value.tensor });
  if ("floats" in value) return of({ type: type.FLOATS, floats: [...value.floats] });
  if ("ints" in value) return of({ type: type.INTS, ints: value.ints.map(BigInt) });
  return of({ type: type.STRINGS, strings: value.texts.map(utf8) });
}

export type TensorValues = Float32Array | Float64Array | BigInt64Array | readonly string[];

/** A constant. One dimension as long as the values when no shape is given; `[]` makes a scalar. */
export function tensor(name: string, values: TensorValues, shape?: readonly number[]): TensorProto {
  const dims = (shape ?? [values.length]).map(BigInt);
  if (dims.reduce((product, dim) => product * dim, 1n) !== BigInt(values.length)) {
    throw new Error(`Tensor "${name}": ${values.length} values do not fill the shape [${dims.join(", ")}].`);
  }
  if (Array.isArray(values)) {
    const stringData = values.map((value: string) => utf8(value));
    return create(TensorProtoSchema, { name, dims, dataType: TensorProto_DataType.STRING, stringData });
  }
  const numbers = values as Float32Array | Float64Array | BigInt64Array;
  const rawData = new Uint8Array(numbers.byteLength);
  rawData.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  return create(TensorProtoSchema, { name, dims, dataType: dataTypeOf(numbers), rawData });
}

function dataTypeOf(values: Float32Array | Float64Array | BigInt64Array): TensorProto_DataType {
  if (values instanceof Float32Array) return TensorProto_DataType.FLOAT;
  if (values instanceof Float64Array) return TensorProto_DataType.DOUBLE;
  return TensorProto_DataType.INT64;
}

/** Element types as ONNX Runtime names them. */
const elementTypes = {
  float32: TensorProto_DataType.FLOAT,
  float64: TensorProto_DataType.DOUBLE,
  int64: TensorProto_DataType.INT64,
  string: TensorProto_DataType.STRING,
  bool: TensorProto_DataType.BOOL,
} as const;
export type ElementType = keyof typeof elementTypes;

/** The `to` attribute of Cast. */
export function elementTypeCode(type: ElementType): number {
  return elementTypes[type];
}

/** An input or output of a graph. A dimension that varies is a name, e.g. `["N", 1]`. */
export function tensorInfo(
  name: string,
  type: ElementType,
  shape: readonly (number | string)[],
): ValueInfoProto {
  const dim = shape.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        typeof size === "number"
          ? { case: "dimValue", value: BigInt(size) }
          : { case: "dimParam", value: size },
    }),
  );
  const value = create(TypeProto_TensorSchema, {
    elemType: elementTypes[type],
    shape: create(TensorShapeProtoSchema, { dim }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value } }),
  });
}

export interface ModelParts {
  readonly name: string;
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly producerVersion: string;
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A whole model, nodes in the order of their dependence. */
export function buildModel(parts: ModelParts): ModelProto {
  const usesMl = parts.nodes.some(({ domain }) => domain === mlDomain);
  return create(ModelProtoSchema, {
    irVersion,
    producerName: "ketline",
    producerVersion: parts.producerVersion,
    docString: parts.description ?? "",
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: "", version: standardOpset }),
      ...(usesMl ? [create(OperatorSetIdProtoSchema, { domain: mlDomain, version: mlOpset })] : []),
    ],
    graph: create(GraphProtoSchema, {
      name: parts.name,
      input: [...parts.inputs],
      output: [...parts.outputs],
      node: [...parts.nodes],
      initializer: [...parts.initializers],
    }),
    metadataProps: Object.entries(parts.metadata ?? {}).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    ),
  });
}

export function encodeModel(model: ModelProto): Uint8Array<ArrayBuffer> {
  return toBinary(ModelProtoSchema, model);
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

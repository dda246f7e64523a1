import { wireTypes } from "./wire.ts";

/*
 * The tags of those fields of onnx.proto (`schema/onnx_pb.d.ts`) that are read, by message and field. Of a field that
 * stands twice the last one counts, and a message that stands twice is both together, as protobuf has it.
 */

const varint = (field: number) => field * 8 + wireTypes.varint;
const fixed32 = (field: number) => field * 8 + wireTypes.fixed32;
/** Texts, bytes, messages and packed lists. */
const lengthDelimited = (field: number) => field * 8 + wireTypes.lengthDelimited;

export const modelTags = {
  irVersion: varint(1),
  producerName: lengthDelimited(2),
  producerVersion: lengthDelimited(3),
  graph: lengthDelimited(7),
  opsetImport: lengthDelimited(8),
  metadataProps: lengthDelimited(14),
  functions: lengthDelimited(25),
} as const;

export const opsetTags = { domain: lengthDelimited(1), version: varint(2) } as const;

export const graphTags = {
  node: lengthDelimited(1),
  name: lengthDelimited(2),
  initializer: lengthDelimited(5),
  input: lengthDelimited(11),
  output: lengthDelimited(12),
  valueInfo: lengthDelimited(13),
  sparseInitializer: lengthDelimited(15),
} as const;

export const functionTags = {
  name: lengthDelimited(1),
  node: lengthDelimited(7),
  domain: lengthDelimited(10),
  attributeProto: lengthDelimited(11),
  overload: lengthDelimited(13),
} as const;

export const nodeTags = {
  input: lengthDelimited(1),
  output: lengthDelimited(2),
  name: lengthDelimited(3),
  opType: lengthDelimited(4),
  attribute: lengthDelimited(5),
  domain: lengthDelimited(7),
  overload: lengthDelimited(8),
} as const;

export const attributeTags = {
  name: lengthDelimited(1),
  f: fixed32(2),
  i: varint(3),
  s: lengthDelimited(4),
  t: lengthDelimited(5),
  g: lengthDelimited(6),
  floats: fixed32(7),
  packedFloats: lengthDelimited(7),
  ints: varint(8),
  packedInts: lengthDelimited(8),
  strings: lengthDelimited(9),
  tensors: lengthDelimited(10),
  graphs: lengthDelimited(11),
  type: varint(20),
  refAttrName: lengthDelimited(21),
  sparseTensor: lengthDelimited(22),
  sparseTensors: lengthDelimited(23),
} as const;

export const valueTags = { name: lengthDelimited(1), type: lengthDelimited(2) } as const;

export const typeTags = {
  tensor: lengthDelimited(1),
  sequence: lengthDelimited(4),
  map: lengthDelimited(5),
  opaque: lengthDelimited(7),
  sparseTensor: lengthDelimited(8),
  optional: lengthDelimited(9),
} as const;

/** Of tensors and sparse tensors. */
export const tensorTypeTags = { elementType: varint(1), shape: lengthDelimited(2) } as const;
/** Of sequences and optional values. */
export const elementTypeTags = { elementType: lengthDelimited(1) } as const;
export const mapTypeTags = { keyType: varint(1), valueType: lengthDelimited(2) } as const;
export const shapeTags = { dim: lengthDelimited(1) } as const;
export const dimensionTags = { value: varint(1), name: lengthDelimited(2) } as const;

export const tensorTags = {
  dims: varint(1),
  packedDims: lengthDelimited(1),
  dataType: varint(2),
  floatData: fixed32(4),
  packedFloatData: lengthDelimited(4),
  int32Data: varint(5),
  packedInt32Data: lengthDelimited(5),
  stringData: lengthDelimited(6),
  int64Data: varint(7),
  packedInt64Data: lengthDelimited(7),
  name: lengthDelimited(8),
  rawData: lengthDelimited(9),
  doubleData: 10 * 8 + wireTypes.fixed64,
  packedDoubleData: lengthDelimited(10),
  uint64Data: varint(11),
  packedUint64Data: lengthDelimited(11),
  externalData: lengthDelimited(13),
  dataLocation: varint(14),
} as const;

export const sparseTensorTags = { values: lengthDelimited(1), indices: lengthDelimited(2) } as const;

export const entryTags = { key: lengthDelimited(1), value: lengthDelimited(2) } as const;

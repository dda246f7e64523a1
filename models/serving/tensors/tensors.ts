/** The element types of Open Inference Protocol v2. */
export type Datatype =
  | "BOOL"
  | "UINT8"
  | "UINT16"
  | "UINT32"
  | "UINT64"
  | "INT8"
  | "INT16"
  | "INT32"
  | "INT64"
  | "FP16"
  | "FP32"
  | "FP64"
  | "BYTES";

/**
 * The elements of a tensor, flat and row-major. BOOL is one byte per element (0 or 1), FP16 the 16 bits of each element,
 * INT64 and UINT64 are bigints, BYTES are strings.
 */
export type TensorData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | readonly string[];

type NumberDatatype = Exclude<Datatype, "BYTES">;
export type NumberData = Exclude<TensorData, readonly string[]>;

export interface Tensor {
  readonly datatype: Datatype;
  /** Each dimension is 0 or more; a scalar has none. */
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Tensors by the name of the model's input or output. */
export type Tensors = Readonly<Record<string, Tensor>>;

interface ElementType {
  /** Bytes per element on the wire; BYTES have their own length each. */
  readonly sizeBytes: number;
  /** The name that ONNX Runtime gives it. */
  readonly onnxName: OnnxElementName;
  create(length: number): NumberData | string[];
}

interface NumberType extends ElementType {
  create(length: number): NumberData;
  /** Elements that lie in a buffer already, at a multiple of their size. */
  view(buffer: ArrayBufferLike, byteOffset: number, length: number): NumberData;
}

export type OnnxElementName =
  | "bool"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "float16"
  | "float32"
  | "float64"
  | "string";

/** Element types whose elements lie in a typed array. */
function numbers(
  sizeBytes: number,
  onnxName: OnnxElementName,
  Elements: {
    new (length: number): NumberData;
    new (buffer: ArrayBufferLike, byteOffset: number, length: number): NumberData;
  },
): NumberType {
  return {
    sizeBytes,
    onnxName,
    create: (length) => new Elements(length),
    view: (buffer, byteOffset, length) => new Elements(buffer, byteOffset, length),
  };
}

const elementTypes: Readonly<Record<NumberDatatype, NumberType> & Record<"BYTES", ElementType>> = {
  BOOL: numbers(1, "bool", Uint8Array),
  UINT8: numbers(1, "uint8", Uint8Array),
  UINT16: numbers(2, "uint16", Uint16Array),
  UINT32: numbers(4, "uint32", Uint32Array),
  UINT64: numbers(8, "uint64", BigUint64Array),
  INT8: numbers(1, "int8", Int8Array),
  INT16: numbers(2, "int16", Int16Array),
  INT32: numbers(4, "int32", Int32Array),
  INT64: numbers(8, "int64", BigInt64Array),
  FP16: numbers(2, "float16", Uint16Array),
  FP32: numbers(4, "float32", Float32Array),
  FP64: numbers(8, "float64", Float64Array),
  BYTES: { sizeBytes: 0, onnxName: "string", create: (length) => new Array<string>(length).fill("") },
};

export const datatypes = Object.keys(elementTypes) as readonly Datatype[];

const byOnnxName: ReadonlyMap<string, Datatype> = new Map(
  datatypes.map((datatype) => [elementTypes[datatype].onnxName, datatype]),
);

export function isDatatype(value: unknown): value is Datatype {
  return typeof value === "string" && Object.hasOwn(elementTypes, value);
}

export function elementType(datatype: NumberDatatype): NumberType;
export function elementType(datatype: Datatype): ElementType;
export function elementType(datatype: Datatype): ElementType {
  return elementTypes[datatype];
}

/** @returns undefined for the types that the protocol has no name for, such as bfloat16. */
export function datatypeOfOnnx(name: string): Datatype | undefined {
  return byOnnxName.get(name);
}

/** By the numbers of ONNX (onnx.proto, `TensorProto.DataType`). */
const byOnnxCode: readonly (Datatype | undefined)[] = [
  undefined,
  "FP32",
  "UINT8",
  "INT8",
  "UINT16",
  "INT16",
  "INT32",
  "INT64",
  "BYTES",
  "BOOL",
  "FP16",
  "FP64",
  "UINT32",
  "UINT64",
];

/** The same by the number that models are written with. */
export function datatypeOfCode(code: number): Datatype | undefined {
  return byOnnxCode[code];
}

/** How many elements a tensor of this shape has. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dimension of shape) count *= dimension;
  return count;
}

/** Rows are the first dimension; a scalar is one row. */
export function rowCount(tensors: Tensors): number {
  for (const name in tensors) return tensors[name]?.shape[0] ?? 1;
  return 0;
}

/** `[2, 20]`, as it stands in messages. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

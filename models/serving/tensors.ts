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
  create(length: number): Exclude<TensorData, readonly string[]> | string[];
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

const elementTypes: Readonly<Record<Datatype, ElementType>> = {
  BOOL: { sizeBytes: 1, onnxName: "bool", create: (length) => new Uint8Array(length) },
  UINT8: { sizeBytes: 1, onnxName: "uint8", create: (length) => new Uint8Array(length) },
  UINT16: { sizeBytes: 2, onnxName: "uint16", create: (length) => new Uint16Array(length) },
  UINT32: { sizeBytes: 4, onnxName: "uint32", create: (length) => new Uint32Array(length) },
  UINT64: { sizeBytes: 8, onnxName: "uint64", create: (length) => new BigUint64Array(length) },
  INT8: { sizeBytes: 1, onnxName: "int8", create: (length) => new Int8Array(length) },
  INT16: { sizeBytes: 2, onnxName: "int16", create: (length) => new Int16Array(length) },
  INT32: { sizeBytes: 4, onnxName: "int32", create: (length) => new Int32Array(length) },
  INT64: { sizeBytes: 8, onnxName: "int64", create: (length) => new BigInt64Array(length) },
  FP16: { sizeBytes: 2, onnxName: "float16", create: (length) => new Uint16Array(length) },
  FP32: { sizeBytes: 4, onnxName: "float32", create: (length) => new Float32Array(length) },
  FP64: { sizeBytes: 8, onnxName: "float64", create: (length) => new Float64Array(length) },
  BYTES: { sizeBytes: 0, onnxName: "string", create: (length) => new Array<string>(length).fill("") },
};

export const datatypes = Object.keys(elementTypes) as readonly Datatype[];

const byOnnxName: ReadonlyMap<string, Datatype> = new Map(
  datatypes.map((datatype) => [elementTypes[datatype].onnxName, datatype]),
);

export function isDatatype(value: unknown): value is Datatype {
  return typeof value === "string" && Object.hasOwn(elementTypes, value);
}

export function elementType(datatype: Datatype): ElementType {
  return elementTypes[datatype];
}

/** @returns undefined for the types that the protocol has no name for, such as bfloat16. */
export function datatypeOfOnnx(name: string): Datatype | undefined {
  return byOnnxName.get(name);
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

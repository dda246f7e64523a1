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

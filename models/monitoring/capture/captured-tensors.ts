import { fromHalf } from "../../../shared/half.ts";
import type { Datatype, Tensor, TensorData, Tensors } from "../../serving/index.ts";

/** A tensor as it is written down: its rows, or some of them. */
export interface CapturedTensor {
  readonly type: Datatype;
  /** The first dimension counts the rows that were kept. */
  readonly shape: readonly number[];
  /** Row-major; a string among numbers is `NaN`, `Infinity` or `-Infinity`. */
  readonly data?: readonly (number | string)[];
  /** In place of `data` for longer tensors of numbers: their little-endian bytes, which cost a tenth to write. */
  readonly base64?: string;
}

export type CapturedTensors = Readonly<Record<string, CapturedTensor>>;

/** Fields that are not written as they are. */
export interface FieldRules {
  readonly drop: readonly string[];
  readonly hash: readonly string[];
  /** Of a field's value; keyed, so that values cannot be guessed. */
  digest(value: string): string;
}

const maxRows = 1000;
/** A tensor with more elements per row is no set of features (an image, say) and is left out. */
const maxColumns = 2000;
const maxCharacters = 200;
/** Of one tensor: of wide rows fewer are kept. */
const maxBytes = 64 * 1024;
const maxPlainNumbers = 16;

/** The tensors as they are kept, rows spread evenly over those there were. */
export function captureTensors(tensors: Tensors, fields: FieldRules): CapturedTensors {
  const captured: Record<string, CapturedTensor> = Object.create(null);
  for (const name in tensors) {
    const tensor = tensors[name];
    if (tensor === undefined || fields.drop.includes(name)) continue;
    const width = widthOf(tensor.shape);
    if (width > maxColumns) continue;
    captured[name] = captureTensor(tensor, width, fields.hash.includes(name) ? fields.digest : undefined);
  }
  return captured;
}

/**
 * The columns of captured tensors: `[N]` and `[N, 1]` are one column of the tensor's name, `[N, F]` (or more
 * dimensions) are `name[0]`, `name[1]`, …
 */
export function tensorColumns(tensors: CapturedTensors): Map<string, unknown[]> {
  const columns = new Map<string, unknown[]>();
  for (const [name, tensor] of Object.entries(tensors)) {
    const width = widthOf(tensor.shape);
    const values = valuesOf(tensor);
    for (let column = 0; column < width; column++) {
      const list: unknown[] = [];
      for (let at = column; at < values.length; at += width) list.push(values[at]);
      columns.set(width === 1 ? name : `${name}[${column}]`, list);
    }
  }
  return columns;
}

export function rowsOf(shape: readonly number[]): number {
  return shape[0] ?? 1;
}

function captureTensor(
  tensor: Tensor,
  width: number,
  digest: FieldRules["digest"] | undefined,
): CapturedTensor {
  const { datatype, shape } = tensor;
  const data = keptRows(tensor.data, rowsOf(shape), width);
  const kept = shape.length === 0 ? [1] : [data.length / Math.max(1, width), ...shape.slice(1)];
  if (digest !== undefined) {
    const digests: string[] = [];
    for (const value of data) digests.push(digest(String(value)));
    return { type: "BYTES", shape: kept, data: digests };
  }
  if (!ArrayBuffer.isView(data)) {
    return { type: datatype, shape: kept, data: data.map((text) => text.slice(0, maxCharacters)) };
  }
  if (data.length > maxPlainNumbers || datatype === "FP16") {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    return { type: datatype, shape: kept, base64: bytes.toString("base64") };
  }
  const numbers: (number | string)[] = [];
  for (const value of data) numbers.push(jsonNumber(value));
  return { type: datatype, shape: kept, data: numbers };
}

function keptRows(data: TensorData, rows: number, width: number): TensorData {
  const elementBytes = ArrayBuffer.isView(data) ? data.BYTES_PER_ELEMENT : maxCharacters;
  const most = Math.max(1, Math.min(maxRows, Math.floor(maxBytes / Math.max(1, width * elementBytes))));
  if (rows <= most) return data;
  const indices: number[] = [];
  for (let i = 0; i < most; i++) {
    const row = Math.floor((i * rows) / most);
    for (let column = 0; column < width; column++) indices.push(row * width + column);
  }
  return pick(data, indices);
}

function pick(data: TensorData, indices: readonly number[]): TensorData {
  if (data instanceof BigInt64Array) return BigInt64Array.from(indices, (index) => data[index] ?? 0n);
  if (data instanceof BigUint64Array) return BigUint64Array.from(indices, (index) => data[index] ?? 0n);
  if (!ArrayBuffer.isView(data)) return indices.map((index) => data[index] ?? "");
  const picked = data.slice(0, indices.length);
  indices.forEach((index, at) => {
    picked[at] = data[index] ?? Number.NaN;
  });
  return picked;
}

function jsonNumber(value: number | bigint): number | string {
  const number = Number(value);
  return Number.isFinite(number) ? number : String(number);
}

function widthOf(shape: readonly number[]): number {
  let width = 1;
  for (let i = 1; i < shape.length; i++) width *= shape[i] ?? 1;
  return width;
}

/** Flat, as numbers and texts. */
function valuesOf({ type, data, base64 }: CapturedTensor): readonly unknown[] {
  if (base64 === undefined) return (data ?? []).map((value) => (type === "BYTES" ? value : Number(value)));
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = readers[type];
  if (reader === undefined) return [];
  return Array.from({ length: Math.floor(bytes.byteLength / reader.bytes) }, (_, i) =>
    reader.read(view, i * reader.bytes),
  );
}

interface Reader {
  readonly bytes: number;
  read(view: DataView, at: number): number;
}

const readers: Readonly<Partial<Record<Datatype, Reader>>> = {
  BOOL: { bytes: 1, read: (view, at) => view.getUint8(at) },
  UINT8: { bytes: 1, read: (view, at) => view.getUint8(at) },
  UINT16: { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  UINT32: { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  UINT64: { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) },
  INT8: { bytes: 1, read: (view, at) => view.getInt8(at) },
  INT16: { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  INT32: { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  INT64: { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  FP16: { bytes: 2, read: (view, at) => fromHalf(view.getUint16(at, true)) },
  FP32: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  FP64: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
};

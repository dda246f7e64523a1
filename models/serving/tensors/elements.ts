import { invalid, type KetlineError } from "../../../shared/errors.ts";
import { toHalves } from "../../../shared/half.ts";
import {
  type Datatype,
  elementCount,
  elementType,
  shapeText,
  type Tensor,
  type TensorData,
} from "./tensors.ts";

/** Thrown when an integer was read through a double and may have lost digits: read the text again exactly. */
export class InexactInteger extends Error {}

/**
 * Makes a tensor from parsed JSON: a flat list in row-major order, or lists nested as the shape says. FP datatypes take
 * null as NaN, 64-bit integers also take bigints and decimal text, BOOL also 0 and 1, BYTES only text.
 *
 * @param where how messages call it, e.g. `Input "x"`
 * @throws invalid with the position of the first element that does not fit; InexactInteger, see there
 */
export function tensorFromJson(
  datatype: Datatype,
  shape: readonly number[],
  json: unknown,
  where: string,
): Tensor {
  const count = elementCount(shape);
  const values = elementsOf(json, shape, count, where);
  return { datatype, shape, data: elementsFromJson(datatype, values, where) };
}

/** The same from a flat list. */
export function elementsFromJson(datatype: Datatype, values: readonly unknown[], where: string): TensorData {
  switch (datatype) {
    case "FP32":
      return floats(new Float32Array(values.length), values, where, datatype);
    case "FP64":
      return floats(new Float64Array(values.length), values, where, datatype);
    case "FP16":
      return toHalves(floats(new Float32Array(values.length), values, where, datatype));
    case "BYTES":
      return texts(values, where);
    case "BOOL":
      return booleans(values, where);
    case "INT64":
      return bigints(new BigInt64Array(values.length), values, where, datatype);
    case "UINT64":
      return bigints(new BigUint64Array(values.length), values, where, datatype);
    default:
      return integers(elementType(datatype).create(values.length) as IntegerArray, values, where, datatype);
  }
}

/** The flat list of elements, with the number of them that the shape asks for. */
function elementsOf(
  json: unknown,
  shape: readonly number[],
  count: number,
  where: string,
): readonly unknown[] {
  if (!Array.isArray(json)) {
    if (shape.length === 0) return [json];
    throw invalid(`${where}: its data is ${described(json)}; a list of ${count} elements would be right.`);
  }
  const values = shape.length > 1 && Array.isArray(json[0]) ? flattened(json, shape, count, where) : json;
  if (values.length === count) return values;
  throw invalid(`${where} has ${values.length} elements; its shape ${shapeText(shape)} needs ${count}.`);
}

function flattened(
  json: readonly unknown[],
  shape: readonly number[],
  count: number,
  where: string,
): readonly unknown[] {
  if (count > 2 ** 28) throw invalid(`${where}: the shape ${shapeText(shape)} is larger than its data.`);
  const values: unknown[] = [];
  const walk = (list: unknown, axis: number): void => {
    if (!Array.isArray(list) || list.length !== shape[axis]) {
      const sent = Array.isArray(list) ? `a list of ${list.length}` : described(list);
      throw invalid(
        `${where}: its nested data has ${sent} where the shape ${shapeText(shape)} asks for a list of ${shape[axis]}.`,
      );
    }
    if (axis === shape.length - 1) for (const value of list) values.push(value);
    else for (const inner of list) walk(inner, axis + 1);
  };
  walk(json, 0);
  return values;
}

function floats<A extends Float32Array | Float64Array>(
  out: A,
  values: readonly unknown[],
  where: string,
  datatype: Datatype,
): A {
  for (let i = 0; i < out.length; i++) {
    const value = values[i];
    if (typeof value === "number") out[i] = value;
    else if (value === null) out[i] = Number.NaN;
    else if (typeof value === "bigint") out[i] = Number(value);
    else throw unfit(where, i, value, datatype, "a number or null");
  }
  return out;
}

type IntegerArray = Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array;

function integers<A extends IntegerArray>(
  out: A,
  values: readonly unknown[],
  where: string,
  datatype: Datatype,
): A {
  for (let i = 0; i < out.length; i++) {
    const value = values[i];
    if (typeof value === "number") out[i] = value;
    if (out[i] !== value) throw unfit(where, i, value, datatype, `a whole number that fits ${datatype}`);
  }
  return out;
}

function bigints<A extends BigInt64Array | BigUint64Array>(
  out: A,
  values: readonly unknown[],
  where: string,
  datatype: Datatype,
): A {
  for (let i = 0; i < out.length; i++) {
    const value = values[i];
    let integer: bigint | undefined;
    if (typeof value === "number" && Number.isInteger(value)) {
      if (!Number.isSafeInteger(value)) throw new InexactInteger();
      integer = BigInt(value);
    } else if (typeof value === "bigint") integer = value;
    else if (typeof value === "string" && /^-?\d{1,20}$/.test(value)) integer = BigInt(value);
    if (integer !== undefined) out[i] = integer;
    if (integer === undefined || out[i] !== integer) {
      throw unfit(where, i, value, datatype, `a whole number that fits ${datatype}`);
    }
  }
  return out;
}

function booleans(values: readonly unknown[], where: string): Uint8Array {
  const out = new Uint8Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const value = values[i];
    if (value === true || value === 1) out[i] = 1;
    else if (value !== false && value !== 0) throw unfit(where, i, value, "BOOL", "true, false, 1 or 0");
  }
  return out;
}

function texts(values: readonly unknown[], where: string): readonly string[] {
  for (let i = 0; i < values.length; i++) {
    if (typeof values[i] !== "string") throw unfit(where, i, values[i], "BYTES", "text");
  }
  return values as readonly string[];
}

function unfit(
  where: string,
  index: number,
  value: unknown,
  datatype: Datatype,
  right: string,
): KetlineError {
  return invalid(`${where}: element ${index} is ${described(value)}; ${datatype} takes ${right}.`);
}

/** A value as it stands in messages, short. */
export function described(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value)))
    return String(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

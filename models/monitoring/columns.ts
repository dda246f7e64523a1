import type { Tensor, Tensors } from "../serving/index.ts";

/** The columns of one prediction: JSON values, one per row. NaN and infinities are written as their names. */
export interface PredictionColumns {
  readonly rows: number;
  /** Numbers; a string among them is `NaN`, `Infinity` or `-Infinity`. */
  readonly numeric: Readonly<Record<string, readonly (number | string)[]>>;
  readonly text: Readonly<Record<string, readonly string[]>>;
}

export interface ColumnLimits {
  /** Rows kept of one request, spread evenly over it. */
  readonly mostRows: number;
  /** A tensor with more elements per row is no set of features (an image, say) and is left out. */
  readonly mostColumns: number;
  readonly mostCharacters: number;
}

/** Fields that are not written as they are. */
export interface FieldRules {
  readonly drop: ReadonlySet<string>;
  readonly hash: ReadonlySet<string>;
  /** Of a field's value; keyed, so that values cannot be guessed. */
  digest(value: string): string;
}

const outputPrefix = "output:";

/** Outputs stand beside inputs under this name, as a model may call both alike. */
export function outputColumn(name: string): string {
  return outputPrefix + name;
}

export function isOutputColumn(column: string): boolean {
  return column.startsWith(outputPrefix);
}

/**
 * The named tensors of a prediction as columns: `[N]` and `[N, 1]` are one column of the tensor's name, `[N, F]` (or
 * more dimensions) are `name[0]`, `name[1]`, …; outputs are named `output:…` likewise.
 */
export function predictionColumns(
  prediction: { readonly inputs: Tensors; readonly outputs: Tensors },
  fields: FieldRules,
  limits: ColumnLimits,
): PredictionColumns {
  const numeric: Record<string, (number | string)[]> = {};
  const text: Record<string, string[]> = {};
  const tensors = [
    ...Object.entries(prediction.inputs).map(([name, tensor]) => ({ name, column: name, tensor })),
    ...Object.entries(prediction.outputs).map(([name, tensor]) => ({
      name,
      column: outputColumn(name),
      tensor,
    })),
  ];
  const rows = tensors.reduce((most, { tensor }) => Math.max(most, rowsOf(tensor)), 0);
  const kept = keptRows(rows, limits.mostRows);
  for (const { name, column, tensor } of tensors) {
    const width = widthOf(tensor);
    // A tensor of other length has no row for every row.
    if (rowsOf(tensor) !== rows || width > limits.mostColumns || fields.drop.has(name)) continue;
    for (let j = 0; j < width; j++) {
      const named = width === 1 ? column : `${column}[${j}]`;
      const values = kept.map((row) => elementAt(tensor, row * width + j));
      if (fields.hash.has(name)) text[named] = values.map((value) => fields.digest(String(value)));
      else if (tensor.datatype === "BYTES") {
        text[named] = values.map((value) => String(value).slice(0, limits.mostCharacters));
      } else numeric[named] = values.map((value) => jsonNumber(Number(value)));
    }
  }
  return { rows, numeric, text };
}

/** Whether any number among the outputs is NaN or infinite, or an answer has no outputs. */
export function hasInvalidOutput(outputs: Tensors): boolean {
  const tensors = Object.values(outputs);
  if (tensors.length === 0) return true;
  return tensors.some(({ datatype, data }) => {
    if (data instanceof Float32Array || data instanceof Float64Array) {
      return data.some((value) => !Number.isFinite(value));
    }
    return (
      datatype === "FP16" && data instanceof Uint16Array && data.some((bits) => (bits & 0x7c00) === 0x7c00)
    );
  });
}

/** A number as it came out of JSON. */
export function parsedNumber(value: unknown): unknown {
  return value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : value;
}

function jsonNumber(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

function rowsOf({ shape }: Tensor): number {
  return shape[0] ?? 1;
}

function widthOf({ shape }: Tensor): number {
  return shape.slice(1).reduce((product, dimension) => product * dimension, 1);
}

function keptRows(rows: number, most: number): number[] {
  if (rows <= most) return Array.from({ length: rows }, (_, row) => row);
  return Array.from({ length: most }, (_, i) => Math.floor((i * rows) / most));
}

function elementAt({ datatype, data }: Tensor, index: number): number | bigint | string {
  const value = data[index] ?? Number.NaN;
  return datatype === "FP16" ? fromHalf(Number(value)) : value;
}

/** IEEE 754 binary16: one bit of sign, five of exponent, ten of fraction. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

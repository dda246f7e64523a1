import {
  type BinaryMetrics,
  binaryMetrics,
  type RegressionMetrics,
  regressionMetrics,
} from "./evaluation.ts";
import type { TrainingSpec } from "./schemas.ts";

export interface SliceMetrics {
  readonly column: string;
  /** null: rows without a value. */
  readonly value: string | null;
  readonly metrics: BinaryMetrics | RegressionMetrics;
}

/** A slice of fewer rows says little; the values with most rows come first, so many of each column. */
const fewestRows = 30;
const mostSlices = 200;

export function metricsOf(
  task: TrainingSpec["task"],
  target: Float64Array,
  predicted: Float64Array,
): BinaryMetrics | RegressionMetrics {
  return task === "binary" ? binaryMetrics(target, predicted) : regressionMetrics(target, predicted);
}

/** Collects the values of slice columns as codes, row after row. */
export interface SliceCodes {
  readonly column: string;
  readonly codes: Int32Array;
  readonly values: Map<string | null, number>;
}

/** The metrics of every value of every slice column that has enough rows. */
export function sliceMetrics(
  task: TrainingSpec["task"],
  target: Float64Array,
  predicted: Float64Array,
  slices: readonly SliceCodes[],
): SliceMetrics[] {
  return slices.flatMap(({ column, codes, values }) => {
    const rowsOf = new Map<number, number[]>();
    for (let row = 0; row < codes.length; row++) {
      const code = codes[row] as number;
      const rows = rowsOf.get(code);
      if (rows === undefined) rowsOf.set(code, [row]);
      else rows.push(row);
    }
    return [...values]
      .map(([value, code]) => ({ value, rows: rowsOf.get(code) ?? [] }))
      .filter(({ rows }) => rows.length >= fewestRows)
      .sort((a, b) => b.rows.length - a.rows.length)
      .slice(0, mostSlices)
      .map(({ value, rows }) => ({
        column,
        value,
        metrics: metricsOf(
          task,
          Float64Array.from(rows, (row) => target[row] as number),
          Float64Array.from(rows, (row) => predicted[row] as number),
        ),
      }));
  });
}

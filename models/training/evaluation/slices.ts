import type { Recipe } from "../data/recipe.ts";
import { bootstrapIntervals, type Intervals } from "./bootstrap.ts";
import {
  type BinaryMetrics,
  binaryMetrics,
  type RegressionMetrics,
  regressionMetrics,
} from "./evaluation.ts";

export interface SliceMetrics {
  readonly column: string;
  /** null: rows without a value. */
  readonly value: string | null;
  readonly metrics: BinaryMetrics | RegressionMetrics;
  /** By the name of the metric; of the first slices of each column, which have most rows. */
  readonly intervals: Intervals;
}

/** A slice of fewer rows says little; the values with most rows come first, so many of each column. */
const fewestRows = 30;
const maxSlices = 200;
/** Slices of a column whose metrics get intervals, and what is spent on each. */
const maxIntervals = 30;
const sampling = { seed: 20_010_102, resamples: 100, maxRows: 1000 };

export type Question = Pick<Recipe, "task" | "quantile">;

export function metricsOf(
  { task, quantile }: Question,
  target: Float64Array,
  predicted: Float64Array,
): BinaryMetrics | RegressionMetrics {
  return task === "binary"
    ? binaryMetrics(target, predicted)
    : regressionMetrics(target, predicted, quantile);
}

/** Collects the values of slice columns as codes, row after row. */
export interface SliceCodes {
  readonly column: string;
  readonly codes: Int32Array;
  readonly values: Map<string | null, number>;
}

/** The metrics of every value of every slice column that has enough rows. */
export function sliceMetrics(
  question: Question,
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
      .slice(0, maxSlices)
      .map(({ value, rows }, place) => {
        const own = Float64Array.from(rows, (row) => target[row] as number);
        const said = Float64Array.from(rows, (row) => predicted[row] as number);
        const metrics = (...both: [Float64Array, Float64Array]) => metricsOf(question, ...both);
        return {
          column,
          value,
          metrics: metrics(own, said),
          intervals: place < maxIntervals ? bootstrapIntervals(metrics, own, said, sampling) : {},
        };
      });
  });
}

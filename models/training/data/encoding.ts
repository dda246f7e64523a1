import type { LinearAlgorithm } from "../schemas.ts";
import type { FeatureColumn, NumericColumn, TrainingRows } from "./training-rows.ts";

/** How raw values become the columns of a linear model; the same in training, in evaluation and in the graph. */
export interface Encoding {
  readonly numeric: readonly NumericEncoding[];
  readonly categorical: readonly CategoricalEncoding[];
}

/** `(value - mean) / sd`, after a missing value (NaN, infinite) became `fill`. */
export interface NumericEncoding {
  readonly name: string;
  readonly fill: number;
  readonly mean: number;
  /** With the divisor n; 1 for a constant column. */
  readonly sd: number;
  /** Whether there is a column of its own that is 1 where the value is missing: so it was, at times, in training. */
  readonly indicator: boolean;
}

/** One column per level; a row whose value is none of them has 0 in all. */
export type CategoricalEncoding =
  | { readonly name: string; readonly input: "text"; readonly levels: readonly string[] }
  | { readonly name: string; readonly input: "number"; readonly levels: readonly number[] };

/** Learns the encoding from the training rows. */
export function fitEncoding(
  { features }: TrainingRows,
  options: Pick<LinearAlgorithm, "impute" | "minLevelRows" | "maxLevels">,
): Encoding {
  const frequent = <Value>(levels: readonly { value: Value; rows: number }[]): Value[] =>
    levels
      .filter(({ rows }) => rows >= options.minLevelRows)
      .slice(0, options.maxLevels)
      .map(({ value }) => value);
  return {
    numeric: features.flatMap((feature) =>
      feature.kind === "numeric" ? [fitNumeric(feature, options.impute)] : [],
    ),
    categorical: features.flatMap((feature): CategoricalEncoding[] => {
      if (feature.kind === "numeric") return [];
      const { name } = feature;
      return feature.kind === "text levels"
        ? [{ name, input: "text", levels: frequent(feature.levels) }]
        : [{ name, input: "number", levels: frequent(feature.levels) }];
    }),
  };
}

function fitNumeric({ name, values }: NumericColumn, impute: LinearAlgorithm["impute"]): NumericEncoding {
  const known = values.filter(Number.isFinite);
  const missing = values.length - known.length;
  if (known.length === 0) return { name, fill: 0, mean: 0, sd: 1, indicator: true };
  let sum = 0;
  for (const value of known) sum += value;
  const knownMean = sum / known.length;
  const fill = impute === "mean" ? knownMean : medianOf(known);
  const mean = (sum + missing * fill) / values.length;
  // The second pass around the mean, after Chan, Golub & LeVeque (1983): one pass loses the digits of large means.
  let squares = missing * (fill - mean) ** 2;
  for (const value of known) squares += (value - mean) ** 2;
  const sd = Math.sqrt(squares / values.length);
  // Rounding leaves a constant column a spread in the last digits of its mean.
  const constant = !(sd > 1e-12 * Math.abs(mean));
  return { name, fill, mean, sd: constant ? 1 : sd, indicator: missing > 0 };
}

function medianOf(values: Float32Array): number {
  const sorted = values.toSorted();
  const middle = sorted.length >>> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** A numeric column, standardised. */
export function standardise(values: Float32Array, { fill, mean, sd }: NumericEncoding): Float64Array {
  return Float64Array.from(values, (value) => ((Number.isFinite(value) ? value : fill) - mean) / sd);
}

/** 1 where the value is missing. */
export function missingOf(values: Float32Array): Float64Array {
  return Float64Array.from(values, (value) => (Number.isFinite(value) ? 0 : 1));
}

/** The column of that name among the features. */
export function featureNamed<Kind extends FeatureColumn["kind"]>(
  rows: TrainingRows,
  name: string,
  kind: Kind,
): Extract<FeatureColumn, { kind: Kind }> {
  const found = rows.features.find((feature) => feature.name === name && feature.kind === kind);
  if (found === undefined) throw new Error(`There is no ${kind} feature "${name}".`);
  return found as Extract<FeatureColumn, { kind: Kind }>;
}

/** Whether a category has no value in any row but the missing one. */
export function isEmpty(feature: Extract<FeatureColumn, { levels: unknown }>): boolean {
  return feature.levels.every(({ value }) => value === "");
}

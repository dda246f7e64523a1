import type { HoldoutBatch } from "../../data/holdout-rows.ts";
import type { FeatureColumn, TrainingRows } from "../../data/training-rows.ts";
import { type BinnedRows, packRows } from "./binned-rows.ts";
import { type BinnedFeature, binsFor, codeNumbers, cutNumbers, maxBins } from "./bins.ts";

/** How the raw values of a feature become codes: the same in training, in evaluation and in the graph. */
export type FeatureCoding =
  | {
      readonly kind: "numeric";
      readonly name: string;
      readonly thresholds: Float64Array;
      readonly monotone: -1 | 0 | 1;
    }
  /** The code of a level is its place; whatever is none of them has the code after the last, as a missing value. */
  | {
      readonly kind: "categorical";
      readonly name: string;
      readonly input: "text";
      readonly levels: readonly string[];
    }
  | {
      readonly kind: "categorical";
      readonly name: string;
      readonly input: "number";
      readonly levels: readonly number[];
    };

export interface CodingSettings {
  readonly minLevelRows: number;
  readonly monotone: Readonly<Record<string, -1 | 0 | 1>>;
  readonly seed: number;
}

export function fitCoding({ features, rows }: TrainingRows, settings: CodingSettings): FeatureCoding[] {
  const { minLevelRows, monotone, seed } = settings;
  const frequent = <Value>(levels: readonly { value: Value; rows: number }[]): Value[] =>
    levels
      .filter((level) => level.rows >= minLevelRows)
      .slice(0, maxBins)
      .map(({ value }) => value);
  return features.map((feature): FeatureCoding => {
    const { name } = feature;
    if (feature.kind === "text levels") {
      return { kind: "categorical", name, input: "text", levels: frequent(feature.levels) };
    }
    if (feature.kind === "number levels") {
      return { kind: "categorical", name, input: "number", levels: frequent(feature.levels) };
    }
    const thresholds = cutNumbers(feature.values, binsFor(rows), seed, true);
    return { kind: "numeric", name, thresholds, monotone: monotone[name] ?? 0 };
  });
}

export function codeRows({ features, rows }: TrainingRows, coding: readonly FeatureCoding[]): BinnedRows {
  return packRows(rows, coding.map(binnedFeature), (index, codes) => {
    const feature = features[index] as FeatureColumn;
    const coded = coding[index] as FeatureCoding;
    if (coded.kind === "numeric") {
      if (feature.kind === "numeric") codeNumbers(feature.values, coded.thresholds, codes);
      return;
    }
    if (feature.kind === "numeric") return;
    // The levels that are kept are the first ones, as they are the most frequent.
    const unknown = coded.levels.length;
    for (let row = 0; row < rows; row++) {
      const code = feature.codes[row] as number;
      codes[row] = code >= 0 && code < unknown ? code : unknown;
    }
  });
}

function binnedFeature(coded: FeatureCoding): BinnedFeature {
  return coded.kind === "numeric"
    ? {
        kind: "numeric",
        bins: coded.thresholds.length + 1,
        thresholds: coded.thresholds,
        monotone: coded.monotone,
      }
    : { kind: "categorical", bins: coded.levels.length };
}

/** The columns that trees are asked with: numbers as they are, NaN for missing ones; categories as codes. */
export function treeColumns(
  inputs: HoldoutBatch["inputs"],
  rows: number,
  coding: readonly FeatureCoding[],
): (Float32Array | Float64Array | Int32Array)[] {
  return coding.map((coded) => {
    const values = inputs.get(coded.name);
    if (values === undefined || values.length < rows)
      throw new Error(`The feature "${coded.name}" was not read.`);
    if (coded.kind === "numeric") return values as Float32Array;
    const codeOf = new Map<unknown, number>(coded.levels.map((level, code) => [level, code]));
    const texts: ArrayLike<string | number> = values;
    return Int32Array.from({ length: rows }, (_, row) => codeOf.get(texts[row]) ?? coded.levels.length);
  });
}

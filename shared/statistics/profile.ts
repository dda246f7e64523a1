import { hashInteger, hashText } from "./hash.ts";
import { histogram } from "./histogram.ts";
import { moments } from "./moments.ts";
import { sortedFinite } from "./quantiles.ts";
import { emptySample, offer, settle } from "./sample.ts";

/**
 * What a data set looked like when a model was trained on it, as plain JSON: the yardstick that later windows are held
 * against. Edges and levels are frozen, so that windows can be counted and merged without the data they came from.
 */
export interface ReferenceProfile {
  readonly version: 1;
  /** Stands for the frozen edges and levels: windows that were counted against another reference never mix. */
  readonly fingerprint: string;
  readonly seed: number;
  readonly columns: readonly ReferenceColumn[];
}

export type ReferenceColumn = NumericReference | CategoricalReference;

export interface NumericReference {
  readonly kind: "numeric";
  readonly name: string;
  /** All rows, those without a value included. */
  readonly count: number;
  readonly nulls: number;
  readonly nan: number;
  readonly posInf: number;
  readonly negInf: number;
  /** Of the finite values, as all that follow; null when there are none, or when it exceeds the doubles. */
  readonly mean: number | null;
  /** With the divisor n. */
  readonly sd: number | null;
  readonly min: number | null;
  readonly max: number | null;
  /** Ascending and distinct quantile edges: bin i is [edges[i], edges[i+1]), the last is closed. Empty without values. */
  readonly edges: readonly number[];
  /** One less than the edges; a single value has edges [v, v] and one bin. */
  readonly counts: readonly number[];
  /** Every value with its count, ascending, when there are at most 20 of them. */
  readonly distinct?: readonly ValueCount<number>[];
  /** Values of seeded rows, ascending. */
  readonly sample: readonly number[];
}

export interface CategoricalReference {
  readonly kind: "categorical";
  readonly name: string;
  readonly count: number;
  readonly nulls: number;
  /** The most frequent ones first; equal counts in the order of the text. */
  readonly levels: readonly ValueCount<string>[];
  /** Rows of levels beyond `topLevels`; while it is 0, any level not listed is new. */
  readonly other: number;
  readonly distinctLevels: number;
}

export interface ValueCount<Value> {
  readonly value: Value;
  readonly count: number;
}

/** Column by column; every column has as many values as there are rows. */
export type ProfileColumn =
  | {
      readonly name: string;
      readonly kind: "numeric";
      /** A missing number is NaN in typed arrays and null (or NaN) in lists. */
      readonly values: Float64Array | Float32Array | readonly (number | null)[];
    }
  | { readonly name: string; readonly kind: "categorical"; readonly values: readonly (string | null)[] };

export interface ProfileOptions {
  /** Any integer; the same seed and rows give the same profile. */
  readonly seed: number;
  /** Values kept per numeric column: 10,000 by default and at most. */
  readonly sampleSize?: number;
  /** Quantile bins per numeric column, 50 by default; fewer remain where values repeat. */
  readonly bins?: number;
  /** Levels kept per categorical column, 1,000 by default. */
  readonly topLevels?: number;
}

const largestSample = 10_000;
/** At most so many distinct numbers are compared value by value: rank statistics ignore ties. */
const discreteLimit = 20;
/** Characters of a level; what is longer is compared by its beginning. */
export const longestLevel = 200;

/** Profiles a data set. Takes any columns, the empty and the hostile too. */
export function buildReferenceProfile(
  columns: readonly ProfileColumn[],
  options: ProfileOptions,
): ReferenceProfile {
  const profiled = columns.map((column) =>
    column.kind === "numeric"
      ? numericReference(column.name, column.values, options)
      : categoricalReference(column.name, column.values, options.topLevels ?? 1000),
  );
  return { version: 1, fingerprint: fingerprintOf(profiled), seed: options.seed, columns: profiled };
}

/** Profiles of different columns of the same rows as one, for columns that do not fit into memory together. */
export function joinProfiles(parts: readonly ReferenceProfile[], seed: number): ReferenceProfile {
  const columns = parts.flatMap((part) => part.columns);
  return { version: 1, fingerprint: fingerprintOf(columns), seed, columns };
}

function numericReference(
  name: string,
  values: ArrayLike<number | null>,
  options: ProfileOptions,
): NumericReference {
  const sampleSize = Math.min(options.sampleSize ?? largestSample, largestSample);
  const sample = emptySample();
  let nulls = 0;
  let nan = 0;
  let posInf = 0;
  let negInf = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value === null || value === undefined) nulls++;
    else if (Number.isFinite(value)) offer(sample, sampleSize, value, hashInteger(i, options.seed));
    else if (value > 0) posInf++;
    else if (value < 0) negInf++;
    else nan++;
  }
  settle(sample, sampleSize);
  const sorted = sortedFinite(values);
  const { mean, sd0 } = moments(sorted);
  const edges = frozenEdges(sorted, options.bins ?? 50);
  const distinct = distinctValues(sorted);
  return {
    kind: "numeric",
    name,
    count: values.length,
    nulls,
    nan,
    posInf,
    negInf,
    mean: finiteOrNull(mean),
    sd: finiteOrNull(sd0),
    min: finiteOrNull(sorted[0]),
    max: finiteOrNull(sorted.at(-1)),
    edges,
    counts: histogram(sorted, edges),
    ...(distinct === undefined ? {} : { distinct }),
    sample: sample.values.sort((a, b) => a - b),
  };
}

/**
 * Quantile edges, each a value that was seen, without repetitions; so no bin of the reference is empty. A value on
 * which several quantiles fall holds more than a bin's share by itself: the next larger value becomes an edge too, so
 * that it gets a bin of its own.
 */
function frozenEdges(sorted: Float64Array, bins: number): number[] {
  const first = sorted[0];
  const last = sorted.at(-1);
  if (first === undefined || last === undefined) return [];
  if (first === last) return [first, last];
  const raw = Array.from(
    { length: bins + 1 },
    (_, i) => sorted[Math.min(Math.floor((i * sorted.length) / bins), sorted.length - 1)] ?? last,
  );
  const edges = new Set<number>();
  raw.forEach((edge, index) => {
    edges.add(edge);
    if (edge === raw[index + 1]) edges.add(nextLarger(sorted, edge) ?? edge);
  });
  return [...edges].sort((a, b) => a - b);
}

/** The smallest value above `value`, by bisection. */
function nextLarger(sorted: Float64Array, value: number): number | undefined {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? value) > value) high = middle;
    else low = middle + 1;
  }
  return sorted[low];
}

function distinctValues(sorted: Float64Array): ValueCount<number>[] | undefined {
  if (sorted.length === 0) return undefined;
  const found: { value: number; count: number }[] = [];
  for (const value of sorted) {
    const current = found.at(-1);
    if (current !== undefined && current.value === value) current.count++;
    else if (found.push({ value, count: 1 }) > discreteLimit) return undefined;
  }
  return found;
}

function categoricalReference(
  name: string,
  values: readonly (string | null)[],
  topLevels: number,
): CategoricalReference {
  const counts = new Map<string, number>();
  let nulls = 0;
  for (const value of values) {
    if (value === null || value === undefined) nulls++;
    else {
      const level = value.slice(0, longestLevel);
      counts.set(level, (counts.get(level) ?? 0) + 1);
    }
  }
  const ordered = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return {
    kind: "categorical",
    name,
    count: values.length,
    nulls,
    levels: ordered.slice(0, topLevels).map(([value, count]) => ({ value, count })),
    other: ordered.slice(topLevels).reduce((sum, [, count]) => sum + count, 0),
    distinctLevels: ordered.length,
  };
}

/** Of all that a window's counts are aligned with, and nothing else. */
function fingerprintOf(columns: readonly ReferenceColumn[]): string {
  const frozen = JSON.stringify(
    columns.map((column) =>
      column.kind === "numeric"
        ? [column.name, column.edges, column.distinct?.map((entry) => entry.value) ?? null]
        : [column.name, column.levels.map((level) => level.value)],
    ),
  );
  return [1, 2].map((seed) => hashText(frozen, seed).toString(16).padStart(8, "0")).join("");
}

function finiteOrNull(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

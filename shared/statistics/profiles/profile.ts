import { hashInteger, hashText } from "../hash.ts";
import { moments } from "../moments.ts";
import { sortedFinite } from "./quantiles.ts";
import { emptySample, offer, settle } from "./sample.ts";

/**
 * What a data set looked like when a model was trained on it, as plain JSON: the yardstick that later windows are held
 * against. Edges and levels are frozen, so that windows can be counted and merged without the data they came from.
 */
export interface ReferenceProfile {
  readonly version: 2;
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
  /** Of each bin: the sum of the distances of its values from its lower edge. */
  readonly offsets: readonly number[];
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
  /**
   * Quantile bins per numeric column, 512 by default: so many hold the Kolmogorov-Smirnov statistic to 1/512. Values that
   * repeat have bins of their own, and the tails finer ones.
   */
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
  return { version: 2, fingerprint: fingerprintOf(profiled), seed: options.seed, columns: profiled };
}

/** Profiles of different columns of the same rows as one, for columns that do not fit into memory together. */
export function joinProfiles(parts: readonly ReferenceProfile[], seed: number): ReferenceProfile {
  const columns = parts.flatMap((part) => part.columns);
  return { version: 2, fingerprint: fingerprintOf(columns), seed, columns };
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
  const edges = frozenEdges(sorted, options.bins ?? 512);
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
    ...binned(sorted, edges),
    ...(distinct === undefined ? {} : { distinct }),
    sample: sample.values.sort((a, b) => a - b),
  };
}

/**
 * Quantile edges. A value that holds a bin's share by itself has a bin of its own, up to the next larger double: what a
 * window has beside it, however near, is told from it. In the tails the share of a bin halves with each further one, down
 * to a single row, so that a bin is never much wider than what lies inside it.
 */
function frozenEdges(sorted: Float64Array, bins: number): number[] {
  const rows = sorted.length;
  const first = sorted[0];
  const last = sorted.at(-1);
  if (first === undefined || last === undefined) return [];
  if (first === last) return [first, last];
  const edges = new Set<number>([first, last]);
  const at = (rank: number) => edges.add(sorted[Math.min(Math.max(0, Math.floor(rank)), rows - 1)] ?? last);
  for (let i = 1; i < bins; i++) at((i * rows) / bins);
  for (let share = rows / bins / 2; share >= 1; share /= 2) {
    at(share);
    at(rows - share);
  }
  for (let start = 0; start < rows; ) {
    const value = sorted[start] ?? last;
    const end = firstAbove(sorted, value, start);
    if ((end - start) * bins >= rows) {
      edges.add(value);
      edges.add(nextDouble(value));
    }
    start = end;
  }
  return withGapsDivided(
    [...edges].filter(Number.isFinite).sort((a, b) => a - b),
    2 * bins,
  );
}

/**
 * Where there are few rows, the gaps between their values are wide: divided, until there are about `most` bins, they tell
 * where in them a window's values lie. A gap gets parts by the root of its width, which keeps the sum of the widths of
 * parts least where one value may lie in each.
 */
function withGapsDivided(edges: readonly number[], most: number): number[] {
  const left = most - edges.length;
  const roots = edges.map((edge, i) => {
    const before = edges[i - 1];
    return before === undefined || edge <= nextDouble(before) ? 0 : Math.sqrt(edge - before);
  });
  const total = roots.reduce((sum, root) => sum + root, 0);
  if (left <= 0 || total === 0) return [...edges];
  const divided = new Set<number>(edges);
  edges.forEach((edge, i) => {
    const before = edges[i - 1] ?? edge;
    const parts = 1 + Math.floor((left * (roots[i] ?? 0)) / total);
    for (let part = 1; part < parts; part++) divided.add(before + (edge - before) * (part / parts));
  });
  return [...divided].filter(Number.isFinite).sort((a, b) => a - b);
}

/** The index of the first value above `value`, from an index on; by steps that double, then by bisection. */
function firstAbove(sorted: Float64Array, value: number, from: number): number {
  let step = 1;
  while (from + step < sorted.length && sorted[from + step] === value) step *= 2;
  let low = from + Math.floor(step / 2);
  let high = Math.min(from + step, sorted.length);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? value) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The smallest double above a finite one. */
export function nextDouble(value: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value === 0 ? 0 : value);
  view.setBigInt64(0, view.getBigInt64(0) + (value < 0 ? -1n : 1n));
  return view.getFloat64(0);
}

/** How many values each bin has, and how far they lie from its lower edge together. */
function binned(
  sorted: Float64Array,
  edges: readonly number[],
): Pick<NumericReference, "counts" | "offsets"> {
  const counts = new Array<number>(Math.max(0, edges.length - 1)).fill(0);
  const offsets = counts.map(() => 0);
  let bin = 0;
  for (const value of sorted) {
    while (bin < counts.length - 1 && value >= (edges[bin + 1] ?? Number.POSITIVE_INFINITY)) bin++;
    counts[bin] = (counts[bin] ?? 0) + 1;
    offsets[bin] = (offsets[bin] ?? 0) + (value - (edges[bin] ?? 0));
  }
  return { counts, offsets: offsets.map(representable) };
}

/** JSON has no infinity; a sum that exceeds the doubles is as large as they get. */
export function representable(value: number): number {
  return Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE);
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

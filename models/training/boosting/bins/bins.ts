import { seededRandom } from "../random.ts";

/** A feature as small whole numbers. The code `bins` stands for a missing value. */
export type BinnedFeature = BinnedNumber | BinnedCategory;

export interface BinnedNumber {
  readonly kind: "numeric";
  readonly bins: number;
  /** A value is in the first bin whose threshold it does not exceed; the last bin has none. Ascending. */
  readonly thresholds: Float64Array;
  /** 1: predictions must not fall as the feature grows; -1: must not rise; 0: free. */
  readonly monotone: -1 | 0 | 1;
}

/** A category's code is its bin. Whatever has no bin of its own (unseen, too rare) counts as missing. */
export interface BinnedCategory {
  readonly kind: "categorical";
  readonly bins: number;
}

/** Bins beside the one for missing values, so that a code fits into a byte. */
export const maxBins = 255;
/** Fewer bins for few rows: a bin of less than eight rows tells little and costs time in every leaf. */
const smallData = 2000;
/** Quantiles of more values do not move by anything that matters. */
const maxSampled = 200_000;

export function binsFor(rows: number): number {
  return rows < smallData ? Math.max(2, Math.min(63, Math.floor(rows / 8))) : maxBins;
}

/**
 * Finds where to cut a feature: between all its values when there are no more than `bins`, else at its quantiles (of a
 * seeded sample). A threshold lies half-way between two neighbouring values, or on the lower one where float32 has
 * nothing between, so that `value <= threshold` says the same in float32 as here.
 *
 * @param values finite ones, and NaN or infinite ones for missing
 * @param single whether the values are given in float32 when the model is asked
 */
export function cutNumbers(
  values: Float32Array | Float64Array,
  bins: number,
  seed: number,
  single: boolean,
): Float64Array {
  const sorted = sortedSample(values, seed);
  const { distinct, counts } = runs(sorted);
  const cuts: number[] = [];
  const cutAfter = (index: number) =>
    cuts.push(between(distinct[index] as number, distinct[index + 1] as number, single));
  if (distinct.length <= bins) {
    for (let index = 0; index + 1 < distinct.length; index++) cutAfter(index);
    return Float64Array.from(cuts);
  }
  // Each bin takes values until it holds its share of what is left; a frequent value fills one alone.
  let left = sorted.length;
  let leftBins = bins;
  let held = 0;
  for (let index = 0; index + 1 < distinct.length && leftBins > 1; index++) {
    const count = counts[index] as number;
    held += count;
    const share = left / leftBins;
    const next = counts[index + 1] as number;
    if (held < share && !(held > 0 && held + next / 2 > share)) continue;
    cutAfter(index);
    left -= held;
    leftBins--;
    held = 0;
  }
  return Float64Array.from(cuts);
}

function sortedSample(values: Float32Array | Float64Array, seed: number): Float64Array {
  let known = 0;
  const kept = new Float64Array(Math.min(values.length, maxSampled));
  if (values.length <= maxSampled) {
    for (let row = 0; row < values.length; row++) {
      const value = values[row] as number;
      if (Number.isFinite(value)) kept[known++] = value;
    }
  } else {
    const random = seededRandom(seed);
    // One row of every stretch: an even spread over a file that is sorted by time.
    const stretch = values.length / maxSampled;
    for (let index = 0; index < maxSampled; index++) {
      const value = values[Math.floor((index + random()) * stretch)] as number;
      if (Number.isFinite(value)) kept[known++] = value;
    }
  }
  return kept.subarray(0, known).sort();
}

function runs(sorted: Float64Array): { distinct: Float64Array; counts: Uint32Array } {
  const distinct = new Float64Array(sorted.length);
  const counts = new Uint32Array(sorted.length);
  let size = 0;
  for (const value of sorted) {
    if (size === 0 || value !== distinct[size - 1]) distinct[size++] = value;
    (counts[size - 1] as number)++;
  }
  return { distinct: distinct.subarray(0, size), counts: counts.subarray(0, size) };
}

function between(low: number, high: number, single: boolean): number {
  const middle = low / 2 + high / 2;
  const rounded = single ? Math.fround(middle) : middle;
  return rounded >= low && rounded < high ? rounded : low;
}

/** The bin of each value, into `codes`; one beyond the last for a missing one. */
export function codeNumbers(
  values: Float32Array | Float64Array,
  thresholds: Float64Array,
  codes: Uint8Array,
): void {
  const missing = thresholds.length + 1;
  for (let row = 0; row < values.length; row++) {
    const value = values[row] as number;
    if (!(value - value === 0)) {
      codes[row] = missing;
      continue;
    }
    let low = 0;
    let high = thresholds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= (thresholds[middle] as number)) high = middle;
      else low = middle + 1;
    }
    codes[row] = low;
  }
}

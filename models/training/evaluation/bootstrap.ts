import { seededRandom } from "../boosting/random.ts";
import type { BinaryMetrics, RegressionMetrics } from "./evaluation.ts";

/** Where a metric lies with 95 % confidence, as far as the choice of rows goes. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

export type Intervals = Readonly<Record<string, Interval>>;

export interface BootstrapOptions {
  readonly seed: number;
  readonly resamples: number;
  /** Of more rows so many are drawn from, evenly spread, and the interval is drawn in to the width of all. */
  readonly maxRows: number;
}

/** Counts, not judgements. */
const left = new Set(["rows", "positives"]);

/**
 * Percentile intervals by resampling rows (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, §13.3). Of more
 * than `maxRows` rows only a part m of n is resampled and deviations are scaled by √(m/n) (Politis, Romano & Wolf,
 * Subsampling, 1999, §2). Rows count as independent: where they are not, the truth is wider. A metric that half of the
 * samples leave open has no interval.
 */
export function bootstrapIntervals(
  metricsOf: (target: Float64Array, predicted: Float64Array) => BinaryMetrics | RegressionMetrics,
  target: Float64Array,
  predicted: Float64Array,
  { seed, resamples, maxRows }: BootstrapOptions,
): Intervals {
  const rows = target.length;
  const size = Math.min(rows, maxRows);
  if (size < 2) return {};
  const base = Uint32Array.from({ length: size }, (_, index) => Math.floor((index * rows) / size));
  const random = seededRandom(seed);
  const sampleTarget = new Float64Array(size);
  const samplePredicted = new Float64Array(size);
  const take = (rowOf: (index: number) => number) => {
    for (let index = 0; index < size; index++) {
      const row = base[rowOf(index)] as number;
      sampleTarget[index] = target[row] as number;
      samplePredicted[index] = predicted[row] as number;
    }
    return Object.entries(metricsOf(sampleTarget, samplePredicted)) as [string, number | null][];
  };
  const whole = Object.fromEntries(Object.entries(metricsOf(target, predicted))) as Record<
    string,
    number | null
  >;
  const part = Object.fromEntries(take((index) => index));
  const found = new Map<string, number[]>();
  for (let sample = 0; sample < resamples; sample++) {
    for (const [name, value] of take(() => Math.floor(random() * size))) {
      if (value === null || left.has(name)) continue;
      const values = found.get(name);
      if (values === undefined) found.set(name, [value]);
      else values.push(value);
    }
  }
  const scale = Math.sqrt(size / rows);
  const intervals: Record<string, Interval> = {};
  for (const [name, values] of found) {
    const centre = part[name];
    const value = whole[name];
    if (typeof centre !== "number" || typeof value !== "number" || values.length < resamples / 2) continue;
    values.sort((a, b) => a - b);
    const at = (share: number) => values[Math.round(share * (values.length - 1))] ?? centre;
    intervals[name] = {
      low: value + scale * (at(0.025) - centre),
      high: value + scale * (at(0.975) - centre),
    };
  }
  return intervals;
}

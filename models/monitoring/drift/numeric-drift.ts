import {
  finiteCount,
  jensenShannon,
  jensenShannonFloor,
  kolmogorovSmirnovFloor,
  kolmogorovSmirnovP,
  type NumericReference,
  type NumericWindow,
  pointsOfReference,
  pointsOfWindow,
  populationStabilityFloor,
  smoothedPopulationStability,
  wasserstein,
  wassersteinFloor,
} from "../../../shared/statistics/index.ts";
import type { ColumnResult, Metric, Thresholds } from "../schemas.ts";
import type { Comparison } from "./comparison.ts";

/** Bins of Jensen-Shannon and of the stability index: deciles of the reference, as their usual thresholds suppose. */
const groups = 10;
const base = 2;

/** Distances of a continuous column, each with what chance explains. Both sides have finite values. */
export function numericDrift(
  reference: NumericReference,
  window: NumericWindow,
  thresholds: Thresholds,
  seed: number,
): Comparison {
  const n = referenceCount(reference);
  const m = finiteCount(window);
  const { referenceGroups, windowGroups } = grouped(reference, window);
  const bins = referenceGroups.length;
  const steps = largestStep(reference, window, n, m);
  const tested = kolmogorovSmirnovP(steps, n, m);
  return {
    metrics: [
      judged("kolmogorov_smirnov", tested.d, thresholds.kolmogorovSmirnov, kolmogorovSmirnovFloor(n, m), {
        bins: reference.counts.length,
      }),
      judged(
        "jensen_shannon",
        jensenShannon(referenceGroups, windowGroups, base),
        thresholds.jensenShannon,
        jensenShannonFloor(bins, n, m, base),
        { bins, base },
      ),
      judged(
        "psi",
        smoothedPopulationStability(referenceGroups, windowGroups),
        thresholds.psi,
        populationStabilityFloor(bins, n, m),
        { bins },
      ),
      transport(reference, window, thresholds.wasserstein, seed),
    ],
    test: "kolmogorov_smirnov",
    p: tested.p,
  };
}

/** A metric with its judgement. */
export function judged(
  metric: Metric["metric"],
  value: number,
  threshold: number | null,
  floor: number | null,
  identity: Pick<Metric, "bins" | "base" | "unit">,
): Metric {
  const finite = Number.isFinite(value) ? value : Number.MAX_VALUE;
  return {
    metric,
    value: finite,
    threshold,
    floor,
    exceeds: threshold !== null && finite >= threshold && finite > (floor ?? 0),
    ...identity,
  };
}

/** Wasserstein-1 in standard deviations of the reference; of a constant reference in the unit of the values. */
export function transport(
  reference: NumericReference,
  window: NumericWindow,
  threshold: number | null,
  seed: number,
): Metric {
  const mean = Math.abs(reference.mean ?? 0);
  const sd = reference.sd ?? 0;
  const constant = sd <= 1e-12 * Math.max(1, mean);
  const unit = constant ? 1 : sd;
  const distance = wasserstein(pointsOfReference(reference), pointsOfWindow(reference, window)) / unit;
  // The floor costs 200 drawn windows: only where the verdict hangs on it.
  const near = !constant && threshold !== null && distance >= threshold;
  const floor = near ? transportFloor(reference, finiteCount(window), seed) / unit : null;
  return judged("wasserstein", distance, constant ? null : threshold, floor, {
    unit: constant ? "raw" : "sd",
  });
}

/** Largest windows whose floor is drawn; with more rows it falls like the root of their number. */
const maxDrawn = 10_000;

/** What chance explains, drawn from the reference's sample and taken to the numbers of rows that there are. */
function transportFloor(reference: NumericReference, rows: number, seed: number): number {
  const drawn = Math.min(rows, maxDrawn);
  const sampled = reference.sample.length;
  const floor = wassersteinFloor(reference.sample, drawn, seed);
  return floor * Math.sqrt((1 / referenceCount(reference) + 1 / rows) / (1 / sampled + 1 / drawn));
}

/** Which way, and how far, the mean moved. */
export function meanShift(reference: NumericReference, window: NumericWindow): ColumnResult["shift"] {
  if (reference.mean === null || window.mean === null || finiteCount(window) === 0) return null;
  const inSd = reference.sd ? (window.mean - reference.mean) / reference.sd : null;
  return { referenceMean: reference.mean, windowMean: window.mean, inSd };
}

export function referenceCount(reference: NumericReference): number {
  return reference.count - reference.nulls - reference.nan - reference.posInf - reference.negInf;
}

/** Counts folded from the frozen bins into at most ten of equal shares; what lies outside goes to the outermost. */
function grouped(
  reference: NumericReference,
  window: NumericWindow,
): { referenceGroups: number[]; windowGroups: number[] } {
  const total = referenceCount(reference);
  const last = reference.counts.length - 1;
  const referenceGroups: number[] = [];
  const windowGroups: number[] = [];
  let before = 0;
  let group = -1;
  reference.counts.forEach((count, bin) => {
    const next = Math.min(groups - 1, Math.floor(((before + count / 2) / total) * groups));
    if (next !== group) {
      group = next;
      referenceGroups.push(0);
      windowGroups.push(0);
    }
    const at = referenceGroups.length - 1;
    const outside = (bin === 0 ? window.under : 0) + (bin === last ? window.over : 0);
    referenceGroups[at] = (referenceGroups[at] ?? 0) + count;
    windowGroups[at] = (windowGroups[at] ?? 0) + (window.counts[bin] ?? 0) + outside;
    before += count;
  });
  return { referenceGroups, windowGroups };
}

/** The largest difference of the distribution functions at the frozen edges, times n * m. */
function largestStep(reference: NumericReference, window: NumericWindow, n: number, m: number): number {
  let cumulatedReference = 0;
  let cumulatedWindow = window.under;
  let largest = cumulatedWindow * n;
  reference.counts.forEach((count, bin) => {
    cumulatedReference += count;
    cumulatedWindow += window.counts[bin] ?? 0;
    largest = Math.max(largest, Math.abs(cumulatedReference * m - cumulatedWindow * n));
  });
  return largest;
}

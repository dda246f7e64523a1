import {
  type CategoricalReference,
  type CategoricalWindow,
  chiSquareContingency,
  fisherExact,
  jensenShannon,
  jensenShannonFloor,
  type NumericReference,
  type NumericWindow,
  populationStabilityFloor,
  smoothedPopulationStability,
} from "../../../shared/statistics/index.ts";
import type { Thresholds } from "../schemas.ts";
import type { Comparison } from "./comparison.ts";
import { judged } from "./numeric-drift.ts";

/** Levels that stand for themselves; which ones is frozen by the reference, so that the number keeps its meaning. */
const shownLevels = 20;
const base = 2;

/** Counts per level on both sides, the most frequent of the reference first. */
interface Levels {
  readonly reference: readonly number[];
  readonly window: readonly number[];
}

/**
 * The twenty most frequent levels, and one bin each for the other ones of the reference, for those that it does not
 * have, and for missing values.
 */
export function levelsOf(reference: CategoricalReference, window: CategoricalWindow): Levels {
  const counts = reference.levels.map((level) => level.count);
  const rest = (list: readonly number[]) => sum(list.slice(shownLevels));
  // While the reference lists all its levels, an unlisted one is new; else it may be one of those it left out.
  const complete = reference.other === 0;
  return withoutEmpty({
    reference: [...counts.slice(0, shownLevels), rest(counts) + reference.other, 0, reference.nulls],
    window: [
      ...window.counts.slice(0, shownLevels),
      rest(window.counts) + (complete ? 0 : window.unlisted),
      complete ? window.unlisted : 0,
      window.nulls,
    ],
  });
}

/** The distinct values of a discrete number, and one bin for new ones. Rank statistics would ignore its ties. */
export function distinctValuesOf(reference: NumericReference, window: NumericWindow, finite: number): Levels {
  const counts = (reference.distinct ?? []).map((entry) => entry.count);
  return withoutEmpty({
    reference: [...counts, 0],
    window: [...window.distinctCounts, finite - sum(window.distinctCounts)],
  });
}

/** Distances of levels, each with what chance explains. */
export function levelDrift({ reference, window }: Levels, thresholds: Thresholds): Comparison {
  const n = sum(reference);
  const m = sum(window);
  const bins = reference.length;
  const tested = independence(reference, window);
  return {
    metrics: [
      judged(
        "jensen_shannon",
        jensenShannon(reference, window, base),
        thresholds.jensenShannon,
        jensenShannonFloor(bins, n, m, base),
        { bins, base },
      ),
      judged(
        "psi",
        smoothedPopulationStability(reference, window),
        thresholds.psi,
        populationStabilityFloor(bins, n, m),
        { bins },
      ),
    ],
    ...tested,
  };
}

/**
 * Chi-square on the contingency table, where an unseen level is finite. Levels of which fewer than five are expected on
 * either side are pooled (W. G. Cochran, 1954); two that remain with too few are for Fisher's exact test.
 */
function independence(
  reference: readonly number[],
  window: readonly number[],
): Pick<Comparison, "test" | "p"> {
  const n = sum(reference);
  const m = sum(window);
  const columns: [number, number][] = [];
  let pooled: [number, number] = [0, 0];
  reference.forEach((count, i) => {
    const current = window[i] ?? 0;
    const expected = ((count + current) * Math.min(n, m)) / (n + m);
    if (expected >= 5) columns.push([count, current]);
    else pooled = [pooled[0] + count, pooled[1] + current];
  });
  if (pooled[0] + pooled[1] > 0) columns.push(pooled);
  const [first, second] = columns;
  if (first === undefined || second === undefined) return { test: "chi_square", p: 1 };
  const rest = pooled[0] + pooled[1];
  const few = rest > 0 && (rest * Math.min(n, m)) / (n + m) < 5;
  // Fisher's sum has as many terms as the smaller margin has counts.
  if (columns.length === 2 && few && n + m < 1e6)
    return { test: "fisher", p: fisherExact([first, second]).p };
  const table = [columns.map((column) => column[0]), columns.map((column) => column[1])];
  return { test: "chi_square", p: chiSquareContingency(table).p };
}

function withoutEmpty(levels: Levels): Levels {
  const filled = levels.reference.map((count, i) => count + (levels.window[i] ?? 0) > 0);
  return {
    reference: levels.reference.filter((_, i) => filled[i]),
    window: levels.window.filter((_, i) => filled[i]),
  };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

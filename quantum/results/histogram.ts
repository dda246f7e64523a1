import { invalid } from "../../shared/errors.ts";
import { outcomeLabel } from "../programs/literal.ts";

/** How often each outcome was seen. Outcomes are named as `outcomeLabel` names them. */
export interface Histogram {
  readonly shots: number;
  /** In the order of their names; counts sum to the shots. */
  readonly outcomes: readonly OutcomeCount[];
}

export interface OutcomeCount {
  readonly outcome: string;
  readonly count: number;
}

/** Counts of outcomes by any of their names; names of the same outcome are added up. */
export function histogramOf(counts: Iterable<readonly [outcome: string, count: number]>): Histogram {
  const byLabel = new Map<string, number>();
  let shots = 0;
  for (const [outcome, count] of counts) {
    if (!Number.isSafeInteger(count) || count < 0) {
      throw invalid(`The count of outcome "${outcome}" is ${count}; a count is a whole number from 0.`);
    }
    if (count === 0) continue;
    const label = outcomeLabel(outcome);
    byLabel.set(label, (byLabel.get(label) ?? 0) + count);
    shots += count;
  }
  const outcomes = [...byLabel].map(([outcome, count]) => ({ outcome, count }));
  return { shots, outcomes: outcomes.toSorted((a, b) => compareText(a.outcome, b.outcome)) };
}

/** The most frequent outcomes, most frequent first, and how many shots the others had. */
export function maxFrequent(
  histogram: Histogram,
  limit: number,
): { readonly top: readonly OutcomeCount[]; readonly otherOutcomes: number; readonly otherShots: number } {
  const top = histogram.outcomes
    .toSorted((a, b) => b.count - a.count || compareText(a.outcome, b.outcome))
    .slice(0, limit);
  const shown = top.reduce((sum, { count }) => sum + count, 0);
  return {
    top,
    otherOutcomes: histogram.outcomes.length - top.length,
    otherShots: histogram.shots - shown,
  };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

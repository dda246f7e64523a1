import { chiSquareSf, lnChoose } from "../../shared/statistics/index.ts";

/** Pearson's chi-square test. */
export interface ChiSquare {
  readonly statistic: number;
  readonly degreesOfFreedom: number;
  readonly pValue: number;
  /** Bins after pooling to an expected count of at least 5. */
  readonly bins: number;
}

/** Pearson's statistic over the possible outcomes, the smallest pooled until each bin expects 5 shots or more. */
export function chiSquareOf(
  counts: ReadonlyMap<string, number>,
  expectation: ReadonlyMap<string, number>,
  shots: number,
): ChiSquare | null {
  const possible = [...expectation]
    .filter(([, probability]) => probability > 0)
    .map(([outcome, probability]) => ({
      expected: probability * shots,
      observed: counts.get(outcome) ?? 0,
    }))
    .toSorted((a, b) => a.expected - b.expected);
  const bins: { expected: number; observed: number }[] = [];
  let open: { expected: number; observed: number } | undefined;
  for (const { expected, observed } of possible) {
    if (open === undefined) {
      open = { expected, observed };
      bins.push(open);
    } else {
      open.expected += expected;
      open.observed += observed;
    }
    if (open.expected >= minExpected) open = undefined;
  }
  if (open !== undefined && bins.length > 1) {
    bins.pop();
    const last = bins.at(-1);
    if (last !== undefined) {
      last.expected += open.expected;
      last.observed += open.observed;
    }
  }
  if (bins.length < 2) return null;
  const statistic = bins.reduce((sum, bin) => sum + (bin.observed - bin.expected) ** 2 / bin.expected, 0);
  const degreesOfFreedom = bins.length - 1;
  return { statistic, degreesOfFreedom, pValue: chiSquareSf(statistic, degreesOfFreedom), bins: bins.length };
}

/** Cochran's rule; below it the chi-square distribution is no good approximation. */
const minExpected = 5;

/** The exact test of outcomes that are too rare for bins of their own. */
export interface Rare {
  readonly observed: number;
  readonly probability: number;
  readonly pValue: number;
}

/**
 * Where nearly all shots must show one outcome there are no two bins to compare; then the number of the others is
 * tested against its binomial distribution. Null where no outcome is that likely.
 */
export function rareOf(
  counts: ReadonlyMap<string, number>,
  expectation: ReadonlyMap<string, number>,
  shots: number,
): Rare | null {
  const [likely] = [...expectation].toSorted(([, a], [, b]) => b - a);
  if (likely === undefined || likely[1] * shots < minExpected) return null;
  let probability = 0;
  let observed = 0;
  for (const [outcome, share] of expectation) {
    if (outcome === likely[0]) continue;
    probability += share;
    observed += counts.get(outcome) ?? 0;
  }
  if (probability * shots >= minExpected) return null;
  return { observed, probability, pValue: binomialTail(observed, shots, probability) };
}

/** P(X >= k) for X of the binomial distribution, summed from below: k is small here. */
function binomialTail(k: number, n: number, p: number): number {
  if (k === 0) return 1;
  if (p === 0) return 0;
  let below = 0;
  for (let i = 0; i < k && below < 1; i++) {
    below += Math.exp(lnChoose(n, i) + i * Math.log(p) + (n - i) * Math.log1p(-p));
  }
  return Math.max(0, 1 - below);
}

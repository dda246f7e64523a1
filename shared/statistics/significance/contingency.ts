import { chiSquareSf } from "./chi-square.ts";
import { lnChoose } from "./gamma.ts";
import { normalSf } from "./normal.ts";

export interface TestResult {
  readonly stat: number;
  readonly p: number;
  readonly df: number;
}

/** Counts: one list per row, all of one length. */
export type Table = readonly (readonly number[])[];

/**
 * Pearson's chi-square test of independence. Empty rows and columns are left out; without any freedom left p is 1.
 *
 * @param yates the continuity correction, which is applied at one degree of freedom only
 */
export function chiSquareContingency(table: Table, yates = false): TestResult {
  return contingency(table, (observed, expected, df) => {
    const difference = Math.abs(observed - expected);
    const corrected = yates && df === 1 ? Math.max(0, difference - 0.5) : difference;
    return (corrected * corrected) / expected;
  });
}

/** The likelihood-ratio test of independence, 2 sum O ln(O / E). */
export function gContingency(table: Table): TestResult {
  return contingency(table, logRatio);
}

/** Goodness of fit, sum (O - E)^2 / E; infinite where something was seen that was not expected at all. */
export function chiSquareFit(observed: readonly number[], expected: readonly number[]): TestResult {
  return goodness(observed, expected, (o, e) => (o === e ? 0 : ((o - e) * (o - e)) / e));
}

/** Goodness of fit, 2 sum O ln(O / E). */
export function gFit(observed: readonly number[], expected: readonly number[]): TestResult {
  return goodness(observed, expected, logRatio);
}

/** Goodness of fit, 4 sum (sqrt O - sqrt E)^2 (M. F. Freeman, J. W. Tukey, 1950). */
export function freemanTukeyFit(observed: readonly number[], expected: readonly number[]): TestResult {
  return goodness(observed, expected, (o, e) => 4 * (Math.sqrt(o) - Math.sqrt(e)) ** 2);
}

/**
 * The two-sided z-test that two shares are equal, with the pooled variance; when that is 0 nothing differs: z is 0 and
 * p is 1.
 */
export function twoProportions(
  x1: number,
  n1: number,
  x2: number,
  n2: number,
): { readonly z: number; readonly p: number } {
  const pooled = (x1 + x2) / (n1 + n2);
  const variance = pooled * (1 - pooled) * (1 / n1 + 1 / n2);
  if (!(variance > 0)) return { z: 0, p: 1 };
  const z = (x1 / n1 - x2 / n2) / Math.sqrt(variance);
  return { z, p: 2 * normalSf(Math.abs(z)) };
}

/**
 * Fisher's exact test of a 2x2 table, two-sided: the probability of all tables with these margins that are at most as
 * probable as the one that was seen.
 */
export function fisherExact(table: readonly [readonly [number, number], readonly [number, number]]): {
  readonly oddsRatio: number;
  readonly p: number;
} {
  const [[a, b], [c, d]] = table;
  const row = a + b;
  const column = a + c;
  const total = row + c + d;
  if (row === 0 || c + d === 0 || column === 0 || b + d === 0) return { oddsRatio: Number.NaN, p: 1 };
  const lnAll = lnChoose(total, column);
  const probability = (k: number) => Math.exp(lnChoose(row, k) + lnChoose(total - row, column - k) - lnAll);
  // Equal probabilities differ in their last digits, depending on the way they were reached.
  const most = probability(a) * (1 + 1e-7);
  let p = 0;
  for (let k = Math.max(0, column - (total - row)); k <= Math.min(row, column); k++) {
    const each = probability(k);
    if (each <= most) p += each;
  }
  return { oddsRatio: (a * d) / (b * c), p: Math.min(1, p) };
}

function contingency(
  table: Table,
  term: (observed: number, expected: number, df: number) => number,
): TestResult {
  const rowSums = table.map((row) => row.reduce((sum, count) => sum + count, 0));
  const columnSums = (table[0] ?? []).map((_, j) => table.reduce((sum, row) => sum + (row[j] ?? 0), 0));
  const total = rowSums.reduce((sum, count) => sum + count, 0);
  const filled = (sums: readonly number[]) => sums.filter((sum) => sum > 0).length;
  const df = Math.max(0, filled(rowSums) - 1) * Math.max(0, filled(columnSums) - 1);
  let stat = 0;
  if (df > 0) {
    table.forEach((row, i) => {
      row.forEach((observed, j) => {
        const expected = ((rowSums[i] ?? 0) * (columnSums[j] ?? 0)) / total;
        if (expected > 0) stat += term(observed, expected, df);
      });
    });
  }
  return { stat, p: chiSquareSf(stat, df), df };
}

function goodness(
  observed: readonly number[],
  expected: readonly number[],
  term: (observed: number, expected: number) => number,
): TestResult {
  const df = Math.max(0, observed.length - 1);
  const stat = observed.reduce((sum, count, i) => sum + term(count, expected[i] ?? 0), 0);
  return { stat, p: chiSquareSf(stat, df), df };
}

function logRatio(observed: number, expected: number): number {
  return observed === 0 ? 0 : 2 * observed * Math.log(observed / expected);
}

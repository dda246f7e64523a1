import { lnGamma } from "../significance/gamma.ts";
import { normalSf } from "../significance/normal.ts";

/**
 * The two-sided test of Mann and Whitney by its normal approximation, with the correction for ties.
 *
 * @param continuity moves the statistic half a step towards its mean
 * @returns u of `a`; p is 1 when all values are equal, and both are NaN when a side is empty
 */
export function mannWhitney(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  continuity = true,
): { readonly u: number; readonly p: number } {
  const n = a.length;
  const m = b.length;
  if (n === 0 || m === 0) return { u: Number.NaN, p: Number.NaN };
  const { ranksOfA, tieTerm } = pooledRanks(a, b);
  const u = ranksOfA.reduce((sum, rank) => sum + rank, 0) - (n * (n + 1)) / 2;
  const total = n + m;
  const variance = ((n * m) / 12) * (total + 1 - tieTerm / (total * (total - 1)));
  if (!(variance > 0)) return { u, p: 1 };
  const distance = Math.abs(u - (n * m) / 2) - (continuity ? 0.5 : 0);
  return { u, p: Math.min(1, 2 * normalSf(distance / Math.sqrt(variance))) };
}

/**
 * The two-sample test of Cramér and von Mises (T. W. Anderson, "On the distribution of the two-sample Cramér-von Mises
 * criterion", 1962).
 *
 * @param method `exact` enumerates by a recursion and is meant for up to about 20 values a side
 * @returns t and p NaN when a side is empty
 */
export function cramerVonMises(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  method: "exact" | "asymptotic",
): { readonly t: number; readonly p: number } {
  const n = a.length;
  const m = b.length;
  if (n === 0 || m === 0) return { t: Number.NaN, p: Number.NaN };
  const { ranksOfA, ranksOfB } = pooledRanks(a, b);
  const squares = (ranks: readonly number[]) =>
    ranks.toSorted((x, y) => x - y).reduce((sum, rank, i) => sum + (rank - (i + 1)) ** 2, 0);
  const u = n * squares(ranksOfA) + m * squares(ranksOfB);
  const product = n * m;
  const total = n + m;
  const t = u / (product * total) - (4 * product - 1) / (6 * total);
  if (method === "exact") return { t, p: exactTail(u, n, m) };
  const mean = (1 + 1 / total) / 6;
  const variance =
    ((total + 1) * (4 * product * total - 3 * (n * n + m * m) - 2 * product)) /
    (45 * total * total * 4 * product);
  return { t, p: limitTail(1 / 6 + (t - mean) / Math.sqrt(45 * variance)) };
}

/** Ranks in the pooled sample, ties at their mean rank; `tieTerm` is the sum of t^3 - t over groups of t ties. */
function pooledRanks(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): { ranksOfA: number[]; ranksOfB: number[]; tieTerm: number } {
  const pooled = Float64Array.from([...Array.from(a), ...Array.from(b)]).sort();
  const rankOf = new Map<number, number>();
  let tieTerm = 0;
  for (let start = 0; start < pooled.length; ) {
    const value = pooled[start] ?? 0;
    let end = start;
    while (end < pooled.length && pooled[end] === value) end++;
    const ties = end - start;
    rankOf.set(value, (start + 1 + end) / 2);
    tieTerm += ties ** 3 - ties;
    start = end;
  }
  const ranks = (values: ArrayLike<number>) => Array.from(values, (value) => rankOf.get(value) ?? Number.NaN);
  return { ranksOfA: ranks(a), ranksOfB: ranks(b), tieTerm };
}

/**
 * The share of all orders of n + m values whose statistic is at least the one seen (Y. Xiao, A. Gordon, A. Yakovlev,
 * "A C++ program for the Cramér-von Mises two-sample test", 2007, algorithm 1), with shares in place of counts: the
 * path to (u, v) comes from its two neighbours in the ratio u : v.
 */
function exactTail(statistic: number, n: number, m: number): number {
  const multiple = (n * m) / greatestDivisor(n, m);
  const stepA = multiple / n;
  const stepB = multiple / m;
  const product = n * m;
  const zeta = Math.floor(
    (multiple ** 2 * (n + m) * (6 * statistic - product * (4 * product - 1))) / (6 * product ** 2) + 1e-9,
  );
  let row: Map<number, number>[] = [];
  for (let u = 0; u <= m; u++) {
    const next: Map<number, number>[] = [];
    for (let v = 0; v <= n; v++) {
      const sums = new Map<number, number>();
      const added = (stepA * v - stepB * u) ** 2;
      const take = (from: Map<number, number> | undefined, weight: number) => {
        for (const [value, share] of from ?? []) {
          sums.set(value + added, (sums.get(value + added) ?? 0) + share * weight);
        }
      };
      if (u === 0 && v === 0) sums.set(0, 1);
      else {
        take(row[v], u / (u + v));
        take(next[v - 1], v / (u + v));
      }
      next.push(sums);
    }
    row = next;
  }
  let p = 0;
  for (const [value, share] of row[n] ?? []) if (value >= zeta) p += share;
  return Math.min(1, p);
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/**
 * The upper tail of the limit law (S. Csörgő, J. J. Faraway, "The exact and asymptotic distributions of Cramér-von Mises
 * statistics", 1996, equation 1.2).
 */
function limitTail(x: number): number {
  if (x < 0.003) return 1;
  let cdf = 0;
  for (let k = 0; k < 40; k++) {
    const y = 4 * k + 1;
    const q = (y * y) / (16 * x);
    const term =
      (Math.exp(lnGamma(k + 0.5) - lnGamma(k + 1) - 2 * q) / (Math.PI ** 1.5 * Math.sqrt(x))) *
      Math.sqrt(y) *
      scaledBesselK(0.25, q);
    cdf += term;
    if (term < 1e-17) break;
  }
  return Math.max(0, 1 - cdf);
}

/**
 * e^x K_nu(x) = integral over t >= 0 of exp(-x (cosh t - 1)) cosh(nu t). The trapezoidal rule converges exponentially
 * here, as the integrand is even, analytic and falls doubly exponentially.
 */
function scaledBesselK(nu: number, x: number): number {
  const step = 1 / 32;
  let sum = 0.5;
  for (let t = step; ; t += step) {
    const exponent = x * (Math.cosh(t) - 1);
    if (exponent > 745) break;
    sum += Math.exp(-exponent) * Math.cosh(nu * t);
  }
  return sum * step;
}

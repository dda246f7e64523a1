/**
 * Distances of two distributions over the same bins. `p` and `q` are weights or counts of the same length; each side is
 * divided by its sum. All are NaN when a side has no weight.
 */
export type Bins = ArrayLike<number>;

/**
 * The Jensen-Shannon distance: the root of the divergence (J. Lin, 1991; D. M. Endres and J. E. Schindelin, 2003).
 *
 * @param base of the logarithm: with 2 the distance goes from 0 to 1, with e to sqrt(ln 2) = .8326
 */
export function jensenShannon(p: Bins, q: Bins, base: number): number {
  const divergence = sumOver(p, q, (a, b) => {
    const middle = (a + b) / 2;
    return (relativeEntropy(a, middle) + relativeEntropy(b, middle)) / 2;
  });
  return Math.sqrt(Math.max(0, divergence) / Math.log(base));
}

/** sqrt(1 - sum sqrt(p q)), from 0 to 1. */
export function hellinger(p: Bins, q: Bins): number {
  return Math.sqrt(Math.max(0, 1 - sumOver(p, q, (a, b) => Math.sqrt(a * b))));
}

/** Half the sum of the differences, from 0 to 1. */
export function totalVariation(p: Bins, q: Bins): number {
  return sumOver(p, q, (a, b) => Math.abs(a - b)) / 2;
}

/** The largest difference, from 0 to 1. */
export function largestDifference(p: Bins, q: Bins): number {
  let largest = 0;
  const sum = sumOver(p, q, (a, b) => {
    largest = Math.max(largest, Math.abs(a - b));
    return 0;
  });
  return sum + largest;
}

/** The Kullback-Leibler divergence of q from p, natural logarithm; infinite where q is empty and p is not. */
export function kullbackLeibler(p: Bins, q: Bins): number {
  return sumOver(p, q, relativeEntropy);
}

/** The population stability index, sum (p - q) ln(p / q); infinite where one side is empty and the other is not. */
export function populationStability(p: Bins, q: Bins): number {
  return sumOver(p, q, (a, b) => (a === b ? 0 : (a - b) * Math.log(a / b)));
}

/**
 * The population stability index of counts, each side smoothed to (n + alpha) / (N + alpha B) over its B bins, so that it
 * stays finite and symmetric. Without bins it is 0.
 */
export function smoothedPopulationStability(p: Bins, q: Bins, alpha = 0.5): number {
  if (p.length === 0) return 0;
  const smooth = (counts: Bins) => Array.from(counts, (count) => count + alpha);
  return populationStability(smooth(p), smooth(q));
}

/** p ln(p / q), 0 where p is. */
function relativeEntropy(p: number, q: number): number {
  if (p === 0) return 0;
  return q === 0 ? Number.POSITIVE_INFINITY : p * Math.log(p / q);
}

function sumOver(p: Bins, q: Bins, term: (a: number, b: number) => number): number {
  const totalP = sumOf(p);
  const totalQ = sumOf(q);
  if (!(totalP > 0 && totalQ > 0)) return Number.NaN;
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += term((p[i] ?? 0) / totalP, (q[i] ?? 0) / totalQ);
  return sum;
}

function sumOf(bins: Bins): number {
  let sum = 0;
  for (let i = 0; i < bins.length; i++) sum += bins[i] ?? 0;
  return sum;
}

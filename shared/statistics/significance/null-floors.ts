import { hashInteger } from "../hash.ts";
import { chiSquareIsf } from "./chi-square.ts";
import { kolmogorovIsf } from "./kolmogorov-smirnov.ts";

/**
 * How large a distance gets by chance: the value that is exceeded with probability `level` although both sides come from
 * one distribution. A distance below its floor says nothing, however large it looks on a small window.
 *
 * With expected shares pi, both the population stability index and eight times the Jensen-Shannon divergence (natural
 * logarithm) are to second order sum (p - q)^2 / pi, which is (1/n + 1/m) times a chi-square with bins - 1 degrees of
 * freedom.
 */
export const floorLevel = 0.01;

/** Of the population stability index over `bins` bins with n and m rows. */
export function populationStabilityFloor(bins: number, n: number, m: number, level = floorLevel): number {
  return bins < 2 ? 0 : chiSquareIsf(level, bins - 1) * (1 / n + 1 / m);
}

/** Of the Jensen-Shannon distance with the logarithm's base. */
export function jensenShannonFloor(
  bins: number,
  n: number,
  m: number,
  base: number,
  level = floorLevel,
): number {
  const divergence = populationStabilityFloor(bins, n, m, level) / 8 / Math.log(base);
  return Math.min(Math.sqrt(divergence), Math.sqrt(Math.LN2 / Math.log(base)));
}

/** Of the Kolmogorov-Smirnov statistic, by its limit law. */
export function kolmogorovSmirnovFloor(n: number, m: number, level = floorLevel): number {
  return Math.min(1, kolmogorovIsf(level) * Math.sqrt(1 / n + 1 / m));
}

/**
 * Of the Wasserstein-1 distance, in the unit of the values. There is no closed form: windows of `size` values are drawn
 * from the sample itself with replacement, and the quantile of their distances to it is taken. Such a window lacks the
 * chance in the sample; it is drawn smaller by as much.
 *
 * @param sorted the reference's sample, ascending
 * @param seed the same seed gives the same floor
 */
export function wassersteinFloor(
  sorted: ArrayLike<number>,
  size: number,
  seed: number,
  level = floorLevel,
  rounds = 200,
): number {
  const n = sorted.length;
  if (n === 0 || size === 0) return 0;
  const drawn = Math.max(1, Math.round((size * n) / (size + n)));
  const counts = new Int32Array(n);
  const distances = new Float64Array(rounds);
  for (let round = 0; round < rounds; round++) {
    counts.fill(0);
    const roundSeed = hashInteger(round, seed);
    for (let i = 0; i < drawn; i++) {
      const index = Math.floor((hashInteger(i, roundSeed) / 2 ** 32) * n);
      counts[index] = (counts[index] ?? 0) + 1;
    }
    distances[round] = distanceToSelf(sorted, counts, drawn);
  }
  return distances.sort()[Math.ceil((1 - level) * rounds) - 1] ?? 0;
}

function distanceToSelf(sorted: ArrayLike<number>, counts: Int32Array, drawn: number): number {
  const n = sorted.length;
  let cumulated = 0;
  let area = 0;
  for (let i = 0; i + 1 < n; i++) {
    cumulated += counts[i] ?? 0;
    area += Math.abs((i + 1) / n - cumulated / drawn) * ((sorted[i + 1] ?? 0) - (sorted[i] ?? 0));
  }
  return area;
}

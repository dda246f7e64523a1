/** The first moments of a sample. All NaN when there are no values. */
export interface Moments {
  readonly count: number;
  readonly mean: number;
  /** Standard deviation with the divisor n. */
  readonly sd0: number;
  /** Standard deviation with the divisor n - 1; NaN for one value. */
  readonly sd1: number;
  /** Biased, m3 / m2^1.5; NaN for a constant. */
  readonly skew: number;
  /** Biased, m4 / m2^2 - 3; NaN for a constant. */
  readonly exKurtosis: number;
}

/** Mean and sum of squared deviations, enough to merge parts. */
export interface MeanAndSquares {
  readonly count: number;
  readonly mean: number;
  readonly m2: number;
}

/**
 * Moments in two passes over the values: deviations from the mean, never sums of squares, so that values far from zero
 * keep their digits.
 */
export function moments(values: ArrayLike<number>): Moments {
  const count = values.length;
  const mean = meanOf(values);
  let m1 = 0;
  let m2 = 0;
  let m3 = 0;
  let m4 = 0;
  for (let i = 0; i < count; i++) {
    const deviation = (values[i] ?? Number.NaN) - mean;
    const square = deviation * deviation;
    m1 += deviation;
    m2 += square;
    m3 += square * deviation;
    m4 += square * square;
  }
  // What the rounded mean leaves of the first moment is taken out of the second (Chan, Golub, LeVeque 1983, eq. 1.7).
  m2 -= (m1 * m1) / count;
  const variance = m2 / count;
  return {
    count,
    mean: mean + m1 / count,
    sd0: Math.sqrt(variance),
    sd1: count > 1 ? Math.sqrt(m2 / (count - 1)) : Number.NaN,
    skew: variance > 0 ? m3 / count / variance ** 1.5 : Number.NaN,
    exKurtosis: variance > 0 ? m4 / count / (variance * variance) - 3 : Number.NaN,
  };
}

/** Mean with a running update, which cannot overflow where a sum could. */
export function meanOf(values: ArrayLike<number>): number {
  if (values.length === 0) return Number.NaN;
  let mean = 0;
  for (let i = 0; i < values.length; i++) mean += ((values[i] ?? Number.NaN) - mean) / (i + 1);
  return mean;
}

/** Of two parts together (T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae", 1979, eq. 2.1). */
export function mergeMoments(a: MeanAndSquares, b: MeanAndSquares): MeanAndSquares {
  if (a.count === 0) return b;
  if (b.count === 0) return a;
  const count = a.count + b.count;
  const delta = b.mean - a.mean;
  return {
    count,
    mean: a.mean + (delta * b.count) / count,
    m2: a.m2 + b.m2 + ((delta * delta * a.count) / count) * b.count,
  };
}

/** Coefficients of Lanczos' approximation, g = 7, n = 9 (P. Godfrey, "A note on the computation of the gamma function"). */
const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];
const lnSqrtTwoPi = 0.9189385332046728;

/** The natural logarithm of the gamma function, for x > 0; right to about 1e-15 of max(1, |value|). */
export function lnGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - lnGamma(1 - x);
  const shifted = x - 1;
  let sum = lanczos[0] ?? 0;
  for (let i = 1; i < lanczos.length; i++) sum += (lanczos[i] ?? 0) / (shifted + i);
  const t = shifted + 7.5;
  return lnSqrtTwoPi + (shifted + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** The logarithm of "n over k". */
export function lnChoose(n: number, k: number): number {
  return lnGamma(n + 1) - lnGamma(k + 1) - lnGamma(n - k + 1);
}

/**
 * The regularised upper incomplete gamma function Q(a, x), for a > 0 and x >= 0: the series 6.5.29 of Abramowitz and
 * Stegun below a + 1, the continued fraction 6.5.31 above, which keeps its relative accuracy down to 1e-300.
 */
export function upperGamma(a: number, x: number): number {
  if (Number.isNaN(a) || Number.isNaN(x)) return Number.NaN;
  if (x <= 0) return 1;
  if (x === Number.POSITIVE_INFINITY) return 0;
  const lnFactor = a * Math.log(x) - x - lnGamma(a);
  return x < a + 1 ? 1 - lowerSeries(a, x, lnFactor) : upperFraction(a, x, lnFactor);
}

const maxTerms = 100_000;
const epsilon = 1e-17;

function lowerSeries(a: number, x: number, lnFactor: number): number {
  let term = 1 / a;
  let sum = term;
  for (let k = 1; k < maxTerms && term > sum * epsilon; k++) {
    term *= x / (a + k);
    sum += term;
  }
  return Math.exp(lnFactor) * sum;
}

/** Lentz's method as modified by Thompson and Barnett (1986). */
function upperFraction(a: number, x: number, lnFactor: number): number {
  const tiny = 1e-300;
  let b = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / b;
  let h = d;
  for (let i = 1; i < maxTerms; i++) {
    const an = -i * (i - a);
    b += 2;
    d = an * d + b;
    if (Math.abs(d) < tiny) d = tiny;
    c = b + an / c;
    if (Math.abs(c) < tiny) c = tiny;
    d = 1 / d;
    const factor = d * c;
    h *= factor;
    if (Math.abs(factor - 1) < 1e-16) break;
  }
  return Math.exp(lnFactor) * h;
}

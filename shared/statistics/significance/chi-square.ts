import { upperGamma } from "./gamma.ts";
import { invertTail } from "./tail-inverse.ts";

/** The upper tail of the chi-square distribution, Q(df/2, x/2); with no degrees of freedom all mass lies at 0. */
export function chiSquareSf(x: number, df: number): number {
  if (df === 0) return x > 0 ? 0 : 1;
  return upperGamma(df / 2, x / 2);
}

/** The x whose upper tail is p: 0 for 1, infinite for 0, NaN outside. */
export function chiSquareIsf(p: number, df: number): number {
  if (!(p >= 0 && p <= 1)) return Number.NaN;
  if (p === 1 || df === 0) return 0;
  if (p === 0) return Number.POSITIVE_INFINITY;
  return invertTail((x) => chiSquareSf(x, df), p, 0, df + 10);
}

import { upperGamma } from "./gamma.ts";
import { invertTail } from "./tail-inverse.ts";

/** The upper tail of the standard normal distribution: P(Z > z) = Q(1/2, z^2/2) / 2 for z >= 0. */
export function normalSf(z: number): number {
  return z < 0 ? 1 - normalSf(-z) : upperGamma(0.5, (z * z) / 2) / 2;
}

/** The z whose upper tail is p: infinite for 0 and 1, NaN outside. */
export function normalIsf(p: number): number {
  if (!(p >= 0 && p <= 1)) return Number.NaN;
  if (p === 0.5) return 0;
  if (p > 0.5) return -normalIsf(1 - p);
  return p === 0 ? Number.POSITIVE_INFINITY : invertTail(normalSf, p, 0, 8);
}

import type { BoostingSettings } from "../settings.ts";
import type { Packing } from "./packing.ts";

/** How a leaf becomes two. */
export interface Split {
  readonly feature: number;
  /** By how much the loss falls, with a Newton step in both halves. */
  readonly gain: number;
  /** For a number: codes up to this one go left. */
  readonly bin: number;
  /** For a category: which codes go left, by code, the one for missing values last. */
  readonly left: Uint8Array | null;
  readonly missingLeft: boolean;
  readonly leftValue: number;
  readonly rightValue: number;
}

/** What a leaf's rows add up to, and between which values its prediction must stay for monotone features. */
export interface LeafSums {
  readonly gradient: number;
  readonly packed: number;
  readonly lower: number;
  readonly upper: number;
}

export type SplitRules = Pick<BoostingSettings, "minLeafRows" | "minLeafHessian" | "minGain" | "l1" | "l2">;

/** The Newton step of a sum of gradients, drawn to 0 by `l1` (Chen & Guestrin, XGBoost, 2016, §2.2; Friedman et al.). */
export function leafValue(gradient: number, hessian: number, { l1, l2 }: SplitRules): number {
  const drawn = shrink(gradient, l1);
  return drawn === 0 ? 0 : -drawn / Math.max(hessian + l2, 1e-300);
}

export function shrink(gradient: number, l1: number): number {
  if (gradient > l1) return gradient - l1;
  return gradient < -l1 ? gradient + l1 : 0;
}

/** Twice the loss that a step to `value` takes away. */
export function reduction(drawn: number, weight: number, value: number): number {
  return -(2 * drawn * value + weight * value * value);
}

/** The values of both halves, within the leaf's bounds. */
export function halves(
  leftGradient: number,
  leftPacked: number,
  { gradient, packed, lower, upper }: LeafSums,
  { unit, quantum }: Pick<Packing, "unit" | "quantum">,
  rules: SplitRules,
): Pick<Split, "leftValue" | "rightValue"> {
  const hessianOf = (sum: number) => (sum - Math.floor(sum / unit) * unit) * quantum;
  const value = (sum: number, hessian: number) => clamp(leafValue(sum, hessian, rules), lower, upper);
  return {
    leftValue: value(leftGradient, hessianOf(leftPacked)),
    rightValue: value(gradient - leftGradient, hessianOf(packed - leftPacked)),
  };
}

export function parentScore(
  { gradient, packed, lower, upper }: LeafSums,
  rows: number,
  unit: number,
  quantum: number,
  rules: SplitRules,
): number {
  const weight = (packed - rows * unit) * quantum + rules.l2;
  const drawn = shrink(gradient, rules.l1);
  return reduction(drawn, weight, clamp(-drawn / Math.max(weight, 1e-300), lower, upper));
}

export function clamp(value: number, lower: number, upper: number): number {
  return Math.min(Math.max(value, lower), upper);
}

import type { BinnedFeature } from "./bins.ts";
import { categorySplit } from "./category-split.ts";
import type { Packing } from "./packing.ts";
import type { BoostingSettings } from "./settings.ts";

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

/** The best split of a leaf over all wanted features; null when none gains enough. */
export function bestSplit(
  features: readonly BinnedFeature[],
  offsets: Int32Array,
  wanted: Uint8Array,
  histogram: Float64Array,
  sums: LeafSums,
  packing: Packing,
  rules: SplitRules,
): Split | null {
  let best: Split | null = null;
  for (let feature = 0; feature < features.length; feature++) {
    if (wanted[feature] === 0) continue;
    const binned = features[feature] as BinnedFeature;
    const offset = 2 * (offsets[feature] as number);
    const least = best === null ? rules.minGain : best.gain;
    const found =
      binned.kind === "numeric"
        ? numberSplit(feature, binned.bins, binned.monotone, offset, histogram, sums, packing, rules, least)
        : categorySplit(feature, binned.bins, offset, histogram, sums, packing, rules, least);
    if (found !== null) best = found;
  }
  return best;
}

/** Tries every threshold with the missing values on either side. Returns only what gains more than `least`. */
function numberSplit(
  feature: number,
  bins: number,
  monotone: number,
  offset: number,
  histogram: Float64Array,
  sums: LeafSums,
  { unit, quantum }: Packing,
  rules: SplitRules,
  least: number,
): Split | null {
  const { l1, l2, minLeafRows, minLeafHessian } = rules;
  const { gradient, packed, lower, upper } = sums;
  const bounded = monotone !== 0 || lower > Number.NEGATIVE_INFINITY || upper < Number.POSITIVE_INFINITY;
  const rows = Math.floor(packed / unit);
  const missing = histogram[offset + 2 * bins + 1] as number;
  const missingGradient = histogram[offset + 2 * bins] as number;
  const sides = missing >= unit ? 2 : 1;
  const last = missing >= unit ? bins : bins - 1;
  const parent = parentScore(sums, rows, unit, quantum, rules);
  let bestGain = 2 * least;
  let bestBin = -1;
  let bestSide = 0;
  let sumGradient = 0;
  let sumPacked = 0;
  for (let bin = 0; bin < last; bin++) {
    const own = histogram[offset + 2 * bin + 1] as number;
    // An empty bin moves nothing; its threshold would be that of the bin before.
    if (own === 0) continue;
    sumGradient += histogram[offset + 2 * bin] as number;
    sumPacked += own;
    for (let side = 0; side < sides; side++) {
      if (side === 1 && bin === bins - 1) continue;
      const leftPacked = side === 0 ? sumPacked : sumPacked + missing;
      const leftRows = Math.floor(leftPacked / unit);
      if (leftRows < minLeafRows) continue;
      if (rows - leftRows < minLeafRows) continue;
      const leftHessian = (leftPacked - leftRows * unit) * quantum;
      const rightHessian = (packed - leftPacked - (rows - leftRows) * unit) * quantum;
      if (leftHessian < minLeafHessian || rightHessian < minLeafHessian) continue;
      const leftGradient = side === 0 ? sumGradient : sumGradient + missingGradient;
      const left = shrink(leftGradient, l1);
      const right = shrink(gradient - leftGradient, l1);
      const leftWeight = leftHessian + l2;
      const rightWeight = rightHessian + l2;
      let gain: number;
      if (bounded) {
        const a = clamp(-left / leftWeight, lower, upper);
        const b = clamp(-right / rightWeight, lower, upper);
        if (monotone * (b - a) < 0) continue;
        gain = reduction(left, leftWeight, a) + reduction(right, rightWeight, b) - parent;
      } else {
        gain = (left * left) / leftWeight + (right * right) / rightWeight - parent;
      }
      if (gain > bestGain) {
        bestGain = gain;
        bestBin = bin;
        bestSide = side;
      }
    }
  }
  if (bestBin < 0) return null;
  return numberSplitAt(feature, bins, bestBin, bestSide === 1, bestGain / 2, offset, histogram, sums, { unit, quantum }, rules);
}

/** Where no value was missing in training, a missing one goes with the larger half. */
function numberSplitAt(
  feature: number,
  bins: number,
  bin: number,
  missingWithLeft: boolean,
  gain: number,
  offset: number,
  histogram: Float64Array,
  sums: LeafSums,
  packing: Pick<Packing, "unit" | "quantum">,
  rules: SplitRules,
): Split {
  let leftGradient = missingWithLeft ? (histogram[offset + 2 * bins] as number) : 0;
  let leftPacked = missingWithLeft ? (histogram[offset + 2 * bins + 1] as number) : 0;
  for (let code = 0; code <= bin; code++) {
    leftGradient += histogram[offset + 2 * code] as number;
    leftPacked += histogram[offset + 2 * code + 1] as number;
  }
  const anyMissing = (histogram[offset + 2 * bins + 1] as number) >= packing.unit;
  const missingLeft = anyMissing ? missingWithLeft : leftPacked * 2 > sums.packed;
  return { feature, gain, bin, left: null, missingLeft, ...halves(leftGradient, leftPacked, sums, packing, rules) };
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
  return value < lower ? lower : value > upper ? upper : value;
}

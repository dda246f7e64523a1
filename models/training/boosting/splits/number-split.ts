import type { Packing } from "./packing.ts";
import {
  clamp,
  halves,
  type LeafSums,
  parentScore,
  reduction,
  type Split,
  type SplitRules,
  shrink,
} from "./split.ts";

/** Tries every threshold with the missing values on either side. Returns only what gains more than `least`. */
export function numberSplit(
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
  return numberSplitAt(
    feature,
    bins,
    bestBin,
    bestSide === 1,
    bestGain / 2,
    offset,
    histogram,
    sums,
    { unit, quantum },
    rules,
  );
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
  return {
    feature,
    gain,
    bin,
    left: null,
    missingLeft,
    ...halves(leftGradient, leftPacked, sums, packing, rules),
  };
}

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

/** As LightGBM's `cat_smooth`, `cat_l2` and `max_cat_threshold`: against sets that fit the noise of rare categories. */
const smoothing = 10;
const penalty = 10;
const maxInSet = 32;
/** A category of fewer rows in the leaf stays with the rest (scikit-learn's MIN_CAT_SUPPORT). */
const fewestRows = 10;

/**
 * Splits by a set of categories. Sorted by their mean gradient, one of the cuts of that order is the best set of all
 * (Fisher, On Grouping for Maximum Homogeneity, 1958). Missing and unknown values are a category of their own here.
 * The set that goes left is the shorter end of the order; unseen categories go right with all others.
 */
export function categorySplit(
  feature: number,
  bins: number,
  offset: number,
  histogram: Float64Array,
  sums: LeafSums,
  packing: Packing,
  rules: SplitRules,
  least: number,
): Split | null {
  const { unit, quantum } = packing;
  const { packed, gradient, lower, upper } = sums;
  const rows = Math.floor(packed / unit);
  const parent = parentScore(sums, rows, unit, quantum, rules);
  const order = byMeanGradient(bins, offset, histogram, packing);
  const most = Math.min(maxInSet, Math.ceil(order.length / 2));
  let bestGain = 2 * least;
  let bestSize = 0;
  let bestFromEnd = false;
  for (const fromEnd of [false, true]) {
    let leftGradient = 0;
    let leftPacked = 0;
    for (let size = 1; size <= most; size++) {
      const code = order[fromEnd ? order.length - size : size - 1] as number;
      leftGradient += histogram[offset + 2 * code] as number;
      leftPacked += histogram[offset + 2 * code + 1] as number;
      const leftRows = Math.floor(leftPacked / unit);
      if (leftRows < rules.minLeafRows) continue;
      if (rows - leftRows < rules.minLeafRows) break;
      const leftHessian = (leftPacked - leftRows * unit) * quantum;
      const rightHessian = (packed - leftPacked - (rows - leftRows) * unit) * quantum;
      if (leftHessian < rules.minLeafHessian || rightHessian < rules.minLeafHessian) continue;
      const left = shrink(leftGradient, rules.l1);
      const right = shrink(gradient - leftGradient, rules.l1);
      const leftWeight = leftHessian + rules.l2 + penalty;
      const rightWeight = rightHessian + rules.l2 + penalty;
      const gain =
        reduction(left, leftWeight, clamp(-left / leftWeight, lower, upper)) +
        reduction(right, rightWeight, clamp(-right / rightWeight, lower, upper)) -
        parent;
      if (gain > bestGain) {
        bestGain = gain;
        bestSize = size;
        bestFromEnd = fromEnd;
      }
    }
  }
  if (bestSize === 0) return null;
  const left = new Uint8Array(bins + 1);
  let leftGradient = 0;
  let leftPacked = 0;
  for (const code of bestFromEnd ? order.slice(-bestSize) : order.slice(0, bestSize)) {
    left[code] = 1;
    leftGradient += histogram[offset + 2 * code] as number;
    leftPacked += histogram[offset + 2 * code + 1] as number;
  }
  return {
    feature,
    gain: bestGain / 2,
    bin: -1,
    left,
    missingLeft: left[bins] === 1,
    ...halves(leftGradient, leftPacked, sums, packing, rules),
  };
}

/** The codes that occur often enough, by mean gradient; the code decides between equal ones. */
function byMeanGradient(
  bins: number,
  offset: number,
  histogram: Float64Array,
  { unit, quantum }: Packing,
): number[] {
  const codes: number[] = [];
  const means = new Float64Array(bins + 1);
  for (let code = 0; code <= bins; code++) {
    const packed = histogram[offset + 2 * code + 1] as number;
    if (packed < fewestRows * unit) continue;
    const hessian = (packed - Math.floor(packed / unit) * unit) * quantum;
    means[code] = (histogram[offset + 2 * code] as number) / (hessian + smoothing);
    codes.push(code);
  }
  return codes.sort((a, b) => (means[a] as number) - (means[b] as number) || a - b);
}

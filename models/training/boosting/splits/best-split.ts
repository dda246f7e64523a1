import type { BinnedFeature } from "../bins/bins.ts";
import { categorySplit } from "./category-split.ts";
import { numberSplit } from "./number-split.ts";
import type { Packing } from "./packing.ts";
import type { LeafSums, Split, SplitRules } from "./split.ts";

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
    const least: number = best === null ? rules.minGain : best.gain;
    const found: Split | null =
      binned.kind === "numeric"
        ? numberSplit(feature, binned.bins, binned.monotone, offset, histogram, sums, packing, rules, least)
        : categorySplit(feature, binned.bins, offset, histogram, sums, packing, rules, least);
    if (found !== null) best = found;
  }
  return best;
}

import type { BinnedRows } from "./binned-rows.ts";

/** Where the histogram of each feature begins, in bins: `bins + 1` for each, the last one for missing values. */
export function binOffsets({ features }: BinnedRows): Int32Array {
  const offsets = new Int32Array(features.length + 1);
  for (const [index, { bins }] of features.entries())
    offsets[index + 1] = (offsets[index] as number) + bins + 1;
  return offsets;
}

/**
 * Adds up gradient and packed Hessian (see `packing.ts`) of each bin of each feature: `[gradient, packed]` at
 * `2 * (offset + code)`. The columns of a group that no tree may use are added up too: leaving them out costs more.
 *
 * @param order the rows of the leaf: `order[start]` to `order[end - 1]`
 * @param pairs gradient and packed Hessian of each of them side by side, from index 0
 * @param used which groups of four features are wanted
 */
export function fillHistogram(
  { groups, features }: BinnedRows,
  offsets: Int32Array,
  used: Uint8Array,
  order: Int32Array,
  start: number,
  end: number,
  pairs: Float64Array,
  histogram: Float64Array,
): void {
  histogram.fill(0);
  for (let group = 0; group < groups.length; group++) {
    if (used[group] === 0) continue;
    const words = groups[group] as Int32Array;
    const first = 4 * group;
    const left = features.length - first;
    const at = (index: number) => 2 * (offsets[first + index] as number);
    if (left >= 4) {
      fillFour(words, order, start, end, pairs, histogram, at(0), at(1), at(2), at(3));
    } else {
      for (let index = 0; index < left; index++) {
        fillOne(words, 8 * index, order, start, end, pairs, histogram, at(index));
      }
    }
  }
}

function fillFour(
  words: Int32Array,
  order: Int32Array,
  start: number,
  end: number,
  pairs: Float64Array,
  histogram: Float64Array,
  first: number,
  second: number,
  third: number,
  fourth: number,
): void {
  for (let index = start, own = 0; index < end; index++, own += 2) {
    const word = words[order[index] as number] as number;
    const gradient = pairs[own] as number;
    const hessian = pairs[own + 1] as number;
    const a = first + ((word & 255) << 1);
    (histogram[a] as number) += gradient;
    (histogram[a + 1] as number) += hessian;
    const b = second + ((word >>> 7) & 510);
    (histogram[b] as number) += gradient;
    (histogram[b + 1] as number) += hessian;
    const c = third + ((word >>> 15) & 510);
    (histogram[c] as number) += gradient;
    (histogram[c + 1] as number) += hessian;
    const d = fourth + ((word >>> 23) & 510);
    (histogram[d] as number) += gradient;
    (histogram[d + 1] as number) += hessian;
  }
}

function fillOne(
  words: Int32Array,
  shift: number,
  order: Int32Array,
  start: number,
  end: number,
  pairs: Float64Array,
  histogram: Float64Array,
  offset: number,
): void {
  for (let index = start, own = 0; index < end; index++, own += 2) {
    const bin = offset + ((((words[order[index] as number] as number) >>> shift) & 255) << 1);
    (histogram[bin] as number) += pairs[own] as number;
    (histogram[bin + 1] as number) += pairs[own + 1] as number;
  }
}

/** The sibling's histogram: what the parent has and the child has not. Counts stay exact, as they are whole numbers. */
export function subtractHistogram(parent: Float64Array, child: Float64Array): void {
  for (let index = 0; index < parent.length; index++) (parent[index] as number) -= child[index] as number;
}

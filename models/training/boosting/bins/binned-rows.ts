import type { BinnedFeature } from "./bins.ts";

/**
 * The codes of all features, four to a 32-bit word: word `row` of group `g` holds the features `4g` to `4g + 3`, the
 * first in the lowest byte. Four features are then read with one access of memory, which is what building a histogram
 * spends its time on.
 */
export interface BinnedRows {
  readonly rows: number;
  readonly features: readonly BinnedFeature[];
  readonly groups: readonly Int32Array[];
}

/**
 * @param codesOf writes the codes of a feature into the array it is given, one byte per row
 * @throws RangeError for a code beyond the feature's bins: it would spoil the histogram of its neighbour unnoticed
 */
export function packRows(
  rows: number,
  features: readonly BinnedFeature[],
  codesOf: (feature: number, codes: Uint8Array) => void,
): BinnedRows {
  const groups = Array.from({ length: Math.ceil(features.length / 4) }, () => new Int32Array(rows));
  const codes = new Uint8Array(rows);
  for (const [index, { bins }] of features.entries()) {
    codesOf(index, codes);
    const group = groups[index >>> 2] as Int32Array;
    const shift = 8 * (index & 3);
    for (let row = 0; row < rows; row++) {
      const code = codes[row] as number;
      if (code > bins) throw new RangeError(`Feature ${index} has the code ${code} and ${bins} bins.`);
      group[row] = (group[row] as number) | (code << shift);
    }
  }
  return { rows, features, groups };
}

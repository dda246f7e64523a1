import { seededRandom } from "./random.ts";
import type { Tree } from "./tree.ts";

/** By how much the training loss fell at the splits of each feature, as a share of all. */
export function gainImportances(trees: readonly Tree[], features: number): Float64Array {
  const gains = new Float64Array(features);
  for (const tree of trees) {
    for (let node = 0; node < tree.nodes; node++) {
      const feature = tree.feature[node] as number;
      if (feature >= 0) (gains[feature] as number) += tree.gain[node] as number;
    }
  }
  const total = gains.reduce((sum, gain) => sum + gain, 0);
  return total > 0 ? gains.map((gain) => gain / total) : gains;
}

/**
 * By how much the mean loss rises when the values of one feature are dealt out anew among the rows (Breiman, Random
 * Forests, 2001, §10).
 *
 * @param lossOf the mean loss with these columns
 */
export function permutationImportances(
  columns: readonly (Float32Array | Float64Array | Int32Array)[],
  seed: number,
  lossOf: (columns: readonly (Float32Array | Float64Array | Int32Array)[]) => number,
): Float64Array {
  const before = lossOf(columns);
  return Float64Array.from(columns, (column, index) => {
    const random = seededRandom(seed + index);
    const dealt = column.slice();
    for (let last = dealt.length - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [dealt[last], dealt[other]] = [dealt[other] as number, dealt[last] as number];
    }
    return lossOf(columns.map((one, at) => (at === index ? dealt : one))) - before;
  });
}

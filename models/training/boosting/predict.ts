import type { FeatureCoding } from "./bins/features.ts";
import type { Tree } from "./tree.ts";

/**
 * Sends rows down the trees by their raw values, as the graph does: apart from the codes that the trees were grown on.
 *
 * @returns the sums of the trees' values, `row * outputs + output`, with the start
 */
export function scoreRows(
  trees: readonly Tree[],
  start: Float64Array,
  coding: readonly FeatureCoding[],
  columns: readonly ArrayLike<number>[],
  rows: number,
): Float64Array {
  const outputs = start.length;
  const scores = new Float64Array(rows * outputs).map((_, index) => start[index % outputs] as number);
  const isNumber = coding.map(({ kind }) => kind === "numeric");
  for (const [index, tree] of trees.entries()) {
    for (let row = 0; row < rows; row++) {
      let node = 0;
      for (let feature = tree.feature[0] as number; feature >= 0; feature = tree.feature[node] as number) {
        const value = (columns[feature] as ArrayLike<number>)[row] as number;
        const left = isNumber[feature] ? numberGoesLeft(tree, node, value) : tree.sets[node]?.[value] === 1;
        node = (left ? tree.left[node] : tree.right[node]) as number;
      }
      (scores[row * outputs + (index % outputs)] as number) += tree.value[node] as number;
    }
  }
  return scores;
}

function numberGoesLeft(tree: Tree, node: number, value: number): boolean {
  return Number.isFinite(value) ? value <= (tree.threshold[node] as number) : tree.missingLeft[node] === 1;
}

import type { BinnedRows } from "./bins/binned-rows.ts";
import type { BinnedNumber } from "./bins/bins.ts";
import type { Split } from "./splits/split.ts";

/** A decision tree, node by node; node 0 is the root. */
export interface Tree {
  readonly nodes: number;
  /** The feature that is asked about; -1 for a leaf. */
  readonly feature: Int32Array;
  /** For a number: values up to this one go left. */
  readonly threshold: Float64Array;
  readonly bin: Uint8Array;
  /** For a category: which codes go left, the code for missing values last. */
  readonly sets: readonly (Uint8Array | null)[];
  readonly missingLeft: Uint8Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Of a leaf: what it adds to the score, learning rate included. */
  readonly value: Float64Array;
  readonly gain: Float64Array;
}

export interface TreeDraft extends Omit<Tree, "nodes" | "sets"> {
  nodes: number;
  readonly sets: (Uint8Array | null)[];
}

export function draftTree(maxLeaves: number): TreeDraft {
  const size = 2 * maxLeaves - 1;
  return {
    nodes: 1,
    feature: new Int32Array(size).fill(-1),
    threshold: new Float64Array(size),
    bin: new Uint8Array(size),
    sets: [null],
    missingLeft: new Uint8Array(size),
    left: new Int32Array(size),
    right: new Int32Array(size),
    value: new Float64Array(size),
    gain: new Float64Array(size),
  };
}

/** @returns the left child; the right one follows it */
export function addSplit(tree: TreeDraft, node: number, split: Split, { features }: BinnedRows): number {
  const left = tree.nodes;
  tree.nodes += 2;
  tree.feature[node] = split.feature;
  tree.gain[node] = split.gain;
  tree.missingLeft[node] = split.missingLeft ? 1 : 0;
  tree.left[node] = left;
  tree.right[node] = left + 1;
  tree.sets[node] = split.left;
  tree.sets.push(null, null);
  if (split.left === null) {
    const { thresholds } = features[split.feature] as BinnedNumber;
    tree.bin[node] = split.bin;
    // The last bin has no threshold: every number goes left, and only missing ones right.
    tree.threshold[node] = thresholds[split.bin] ?? Number.POSITIVE_INFINITY;
  }
  return left;
}

/** Whether a code goes left, by code; a table, as rows are many and codes few. */
export function leftTable(
  tree: Pick<Tree, "sets" | "bin" | "missingLeft">,
  node: number,
  bins: number,
): Uint8Array {
  const set = tree.sets[node];
  if (set !== null && set !== undefined) return set;
  const table = new Uint8Array(bins + 1).fill(1, 0, (tree.bin[node] as number) + 1);
  table[bins] = tree.missingLeft[node] as number;
  return table;
}

/** Adds the tree's value for each of the rows to their scores, `stride` apart. */
export function addTree(
  tree: Tree,
  { groups, features }: BinnedRows,
  rows: Int32Array,
  scores: Float64Array,
  stride: number,
  offset: number,
): void {
  const tables: Uint8Array[] = [];
  for (let node = 0; node < tree.nodes; node++) {
    const feature = tree.feature[node] as number;
    tables.push(feature < 0 ? new Uint8Array(0) : leftTable(tree, node, features[feature]?.bins ?? 0));
  }
  for (const row of rows) {
    let node = 0;
    for (let feature = tree.feature[0] as number; feature >= 0; feature = tree.feature[node] as number) {
      const word = (groups[feature >>> 2] as Int32Array)[row] as number;
      const code = (word >>> (8 * (feature & 3))) & 255;
      node = ((tables[node] as Uint8Array)[code] === 1 ? tree.left[node] : tree.right[node]) as number;
    }
    (scores[row * stride + offset] as number) += tree.value[node] as number;
  }
}

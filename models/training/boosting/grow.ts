import type { BinnedRows } from "./bins/binned-rows.ts";
import { fillHistogram, subtractHistogram } from "./bins/histogram.ts";
import type { BoostingSettings } from "./settings.ts";
import { bestSplit } from "./splits/best-split.ts";
import type { Packing } from "./splits/packing.ts";
import type { LeafSums, Split } from "./splits/split.ts";
import { addSplit, draftTree, leftTable, type Tree } from "./tree.ts";

interface Leaf extends LeafSums {
  readonly node: number;
  readonly depth: number;
  /** Its rows: `order[start]` to `order[end - 1]`. */
  readonly start: number;
  readonly end: number;
  readonly histogram: Float64Array | null;
  readonly split: Split | null;
}

export interface GrownTree {
  readonly tree: Tree;
  /** Where the rows of each leaf lie in the order. */
  readonly leaves: readonly Pick<Leaf, "node" | "start" | "end" | "lower" | "upper">[];
}

/** Memory that one tree after the other uses again. */
export interface Workshop {
  readonly data: BinnedRows;
  readonly offsets: Int32Array;
  /** The rows of the tree, in any order; growing sorts them by leaf. */
  readonly order: Int32Array;
  readonly spare: Int32Array;
  /** Gradient and packed Hessian of a leaf's rows, in their order, side by side. */
  readonly pairs: Float64Array;
  readonly histograms: Float64Array[];
}

export function openWorkshop(data: BinnedRows, offsets: Int32Array, maxRows: number): Workshop {
  return {
    data,
    offsets,
    order: new Int32Array(maxRows),
    spare: new Int32Array(maxRows),
    pairs: new Float64Array(2 * maxRows),
    histograms: [],
  };
}

/**
 * Grows one tree on the first `size` rows of the workshop's order. Only the smaller half of a split has its histogram
 * built; the other half is what the parent has beside it.
 *
 * The values of its leaves are left to the caller, who knows the loss.
 *
 * @param gradients by row; `hessians` packed, by row
 * @param wanted which features may be used
 */
export function growTree(
  shop: Workshop,
  size: number,
  gradients: Float64Array,
  hessians: Float64Array,
  wanted: Uint8Array,
  packing: Packing,
  settings: BoostingSettings,
): GrownTree {
  const { data, offsets } = shop;
  const draft = draftTree(settings.maxLeaves);
  const used = new Uint8Array(data.groups.length);
  wanted.forEach((want, feature) => {
    if (want === 1) used[feature >>> 2] = 1;
  });
  const anyFeature = wanted.indexOf(1);
  const histogramOf = (start: number, end: number): Float64Array => {
    const histogram = shop.histograms.pop() ?? new Float64Array(2 * (offsets.at(-1) as number));
    gatherPairs(shop, start, end, gradients, hessians);
    fillHistogram(data, offsets, used, shop.order, start, end, shop.pairs, histogram);
    return histogram;
  };
  const splittable = ({ start, end, depth }: Pick<Leaf, "start" | "end" | "depth">) =>
    end - start >= 2 * settings.minLeafRows && (settings.maxDepth === null || depth < settings.maxDepth);
  const withSplit = (leaf: Omit<Leaf, "split">): Leaf => {
    const split =
      leaf.histogram === null
        ? null
        : bestSplit(data.features, offsets, wanted, leaf.histogram, leaf, packing, settings);
    if (split === null && leaf.histogram !== null) shop.histograms.push(leaf.histogram);
    return { ...leaf, histogram: split === null ? null : leaf.histogram, split };
  };
  const root = { node: 0, depth: 0, start: 0, end: size, ...sumsOf(shop, size, gradients, hessians) };
  let leaves = [withSplit({ ...root, histogram: splittable(root) ? histogramOf(0, size) : null })];
  while (leaves.length < settings.maxLeaves) {
    const next = nextLeaf(leaves, settings.growth);
    if (next === null) break;
    const { split, histogram, ...parent } = next;
    const left = addSplit(draft, parent.node, split, data);
    const table = leftTable(draft, parent.node, data.features[split.feature]?.bins ?? 0);
    const middle = partition(shop, parent, split.feature, table);
    const bounds = childBounds(split, parent, data);
    const halves = [
      { ...parent, ...bounds.left, node: left, depth: parent.depth + 1, end: middle },
      { ...parent, ...bounds.right, node: left + 1, depth: parent.depth + 1, start: middle },
    ] as const;
    const smaller = middle - parent.start <= parent.end - middle ? 0 : 1;
    const [small, large] = [halves[smaller], halves[1 - smaller] as (typeof halves)[0]];
    // With no room for another leaf there is nothing to look for.
    const last = leaves.length + 1 >= settings.maxLeaves;
    const wanting = !last && (splittable(small) || splittable(large));
    const own = wanting ? histogramOf(small.start, small.end) : null;
    if (own === null) shop.histograms.push(histogram);
    else subtractHistogram(histogram, own);
    const children = [
      childOf(small, own, anyFeature, shop, splittable(small)),
      childOf(large, own === null ? null : histogram, anyFeature, shop, splittable(large)),
    ].map(withSplit);
    leaves = leaves.filter((leaf) => leaf !== next).concat(children);
  }
  for (const { histogram } of leaves) if (histogram !== null) shop.histograms.push(histogram);
  return { tree: draft, leaves };
}

function gatherPairs(
  { order, pairs }: Workshop,
  start: number,
  end: number,
  gradients: Float64Array,
  hessians: Float64Array,
): void {
  for (let index = start, own = 0; index < end; index++, own += 2) {
    const row = order[index] as number;
    pairs[own] = gradients[row] as number;
    pairs[own + 1] = hessians[row] as number;
  }
}

type Half = Omit<Leaf, "split" | "histogram">;

/** The sums of a child stand in its histogram: those of the bins of any one feature that it was built for. */
function childOf(
  half: Half,
  histogram: Float64Array | null,
  feature: number,
  shop: Workshop,
  splittable: boolean,
): Omit<Leaf, "split"> {
  if (histogram === null) return { ...half, histogram };
  if (!splittable) {
    shop.histograms.push(histogram);
    return { ...half, histogram: null };
  }
  let gradient = 0;
  let packed = 0;
  const end = 2 * (shop.offsets[feature + 1] as number);
  for (let index = 2 * (shop.offsets[feature] as number); index < end; index += 2) {
    gradient += histogram[index] as number;
    packed += histogram[index + 1] as number;
  }
  return { ...half, gradient, packed, histogram };
}

function nextLeaf(leaves: readonly Leaf[], growth: BoostingSettings["growth"]) {
  let best: Leaf | null = null;
  for (const leaf of leaves) {
    if (leaf.split === null) continue;
    if (best === null || best.split === null) best = leaf;
    else if (growth === "depth" && leaf.depth !== best.depth) best = leaf.depth < best.depth ? leaf : best;
    else if (leaf.split.gain > best.split.gain) best = leaf;
  }
  return best === null || best.split === null || best.histogram === null
    ? null
    : (best as Leaf & { split: Split; histogram: Float64Array });
}

function sumsOf(shop: Workshop, size: number, gradients: Float64Array, hessians: Float64Array): LeafSums {
  let gradient = 0;
  let packed = 0;
  for (let index = 0; index < size; index++) {
    const row = shop.order[index] as number;
    gradient += gradients[row] as number;
    packed += hessians[row] as number;
  }
  return { gradient, packed, lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY };
}

/** Moves the rows that go left to the front, each half in the order it had. @returns where the right half begins */
function partition(
  { data, order, spare }: Workshop,
  { start, end }: Pick<Leaf, "start" | "end">,
  feature: number,
  table: Uint8Array,
): number {
  const words = data.groups[feature >>> 2] as Int32Array;
  const shift = 8 * (feature & 3);
  let left = start;
  let right = 0;
  for (let index = start; index < end; index++) {
    const row = order[index] as number;
    const goesLeft = table[((words[row] as number) >>> shift) & 255] as number;
    // Both are written and one of them counts: a branch here would be guessed wrong half of the time.
    order[left] = row;
    spare[right] = row;
    left += goesLeft;
    right += 1 - goesLeft;
  }
  for (let index = 0; index < right; index++) order[left + index] = spare[index] as number;
  return left;
}

/** With a monotone feature the halves must stay on their sides of the middle, however they are split later. */
function childBounds(
  { feature, leftValue, rightValue }: Split,
  { lower, upper }: Half,
  { features }: BinnedRows,
) {
  const binned = features[feature];
  const monotone = binned?.kind === "numeric" ? binned.monotone : 0;
  const middle = (leftValue + rightValue) / 2;
  if (monotone === 0) return { left: { lower, upper }, right: { lower, upper } };
  return monotone > 0
    ? { left: { lower, upper: middle }, right: { lower: middle, upper } }
    : { left: { lower: middle, upper }, right: { lower, upper: middle } };
}

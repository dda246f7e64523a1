import type { BinnedRows } from "./bins/binned-rows.ts";
import { binOffsets } from "./bins/histogram.ts";
import { type GrownTree, growTree, openWorkshop, type Workshop } from "./grow.ts";
import { type Loss, lossOf, weightedQuantile } from "./losses.ts";
import { seededRandom } from "./random.ts";
import type { BoostingSettings } from "./settings.ts";
import { packHessians, packingFor } from "./splits/packing.ts";
import { clamp, leafValue } from "./splits/split.ts";
import { addTree, type Tree } from "./tree.ts";

export interface BoostedTrees {
  readonly loss: Loss;
  /** What the score of each output starts from. */
  readonly start: Float64Array;
  /** Round after round, in each round one per output. */
  readonly trees: readonly Tree[];
  /** Mean training loss after each round, of ten thousand rows or so. */
  readonly losses: readonly number[];
  /** Mean loss of the rows kept for early stopping; empty without. */
  readonly validationLosses: readonly number[];
  /** Of the training rows, `row * outputs + output`. */
  readonly scores: Float64Array;
}

const maxShown = 10_000;

/**
 * Gradient boosting with trees on histograms (Friedman, Greedy Function Approximation, 2001; Ke et al., LightGBM, 2017).
 *
 * @param target a number; 0 or 1; or the index of a class, as the loss wants it
 * @param weights one per row, 0 or more; null for all alike
 * @param report told after each round; what it throws ends the fit
 */
export function boost(
  data: BinnedRows,
  target: Float64Array,
  weights: Float64Array | null,
  settings: BoostingSettings,
  report: (round: number, trainingLoss: number) => void,
): BoostedTrees {
  const loss = lossOf(settings.loss, target);
  const { outputs } = loss;
  const random = seededRandom(settings.seed);
  const { own, kept } = partsOf(data.rows, settings, random);
  const start = loss.start(target, weights, own);
  const scores = new Float64Array(data.rows * outputs).map((_, index) => start[index % outputs] as number);
  const gradients = new Float64Array(data.rows);
  const hessians = new Float64Array(data.rows);
  const packed = new Float64Array(data.rows);
  const shop = openWorkshop(data, binOffsets(data), own.length);
  const maxHessian =
    loss.maxHessian === null ? null : loss.maxHessian * (weights === null ? 1 : largestOf(weights));
  // The training loss only shows how the fit goes on: some rows tell it well enough.
  const shown =
    own.length <= maxShown ? own : own.filter((_, index) => index % Math.ceil(own.length / maxShown) === 0);
  const trees: Tree[] = [];
  const losses: number[] = [];
  const validationLosses: number[] = [];
  let best = { rounds: 0, loss: Number.POSITIVE_INFINITY };
  for (let round = 1; round <= settings.trees; round++) {
    const sampled = sampleRows(shop, own, settings.rowFraction, random);
    const wanted = sampleFeatures(data.features.length, settings.columnFraction, random);
    const before = outputs === 1 ? scores : scores.slice();
    for (let output = 0; output < outputs; output++) {
      loss.derivatives(target, weights, before, output, gradients, hessians);
      const packing = packingFor(data.rows, maxHessian ?? largestOf(hessians));
      packHessians(hessians, packing, packed);
      const grown = growTree(shop, sampled, gradients, packed, wanted, packing, settings);
      setValues(grown, shop, loss, { target, weights, scores, gradients, hessians, output }, settings);
      trees.push(grown.tree);
      addTo(scores, grown, shop, data, sampled === data.rows, outputs, output);
    }
    losses.push(meanLoss(loss, target, weights, scores, shown));
    if (kept.length > 0 && settings.earlyStopping !== null) {
      const found = meanLoss(loss, target, weights, scores, kept);
      validationLosses.push(found);
      if (found < best.loss) best = { rounds: round, loss: found };
      else if (round - best.rounds >= settings.earlyStopping.rounds) break;
    }
    report(round, losses.at(-1) ?? Number.NaN);
    // Without a split in any tree of the round, the next round would be the same.
    if (settings.rowFraction === 1 && settings.columnFraction === 1 && barren(trees.slice(-outputs))) break;
  }
  const rounds = kept.length > 0 ? best.rounds : losses.length;
  const final = trees.slice(0, rounds * outputs);
  if (final.length < trees.length) rescore(scores, start, final, data, outputs);
  return { loss, start, trees: final, losses: losses.slice(0, rounds), validationLosses, scores };
}

/** Rows to learn from, and rows kept for early stopping. */
function partsOf(rows: number, { earlyStopping }: BoostingSettings, random: () => number) {
  const all = new Int32Array(rows).map((_, row) => row);
  if (earlyStopping === null) return { own: all, kept: new Int32Array(0) };
  const isKept = Uint8Array.from(all, () => (random() < earlyStopping.fraction ? 1 : 0));
  return { own: all.filter((row) => isKept[row] === 0), kept: all.filter((row) => isKept[row] === 1) };
}

/** Puts the rows of the next tree first in the order. @returns how many they are */
function sampleRows({ order }: Workshop, own: Int32Array, fraction: number, random: () => number): number {
  if (fraction === 1) {
    order.set(own);
    return own.length;
  }
  let size = 0;
  for (const row of own) if (random() < fraction) order[size++] = row;
  return size;
}

function sampleFeatures(features: number, fraction: number, random: () => number): Uint8Array {
  if (fraction === 1) return new Uint8Array(features).fill(1);
  const count = Math.max(1, Math.round(features * fraction));
  const order = Array.from({ length: features }, (_, feature) => feature);
  for (let index = 0; index < count; index++) {
    const other = index + Math.floor(random() * (features - index));
    [order[index], order[other]] = [order[other] as number, order[index] as number];
  }
  const wanted = new Uint8Array(features);
  for (const feature of order.slice(0, count)) wanted[feature] = 1;
  return wanted;
}

interface State {
  readonly target: Float64Array;
  readonly weights: Float64Array | null;
  readonly scores: Float64Array;
  readonly gradients: Float64Array;
  readonly hessians: Float64Array;
  readonly output: number;
}

/** The value of each leaf from its rows, in full precision, times the learning rate. */
function setValues(
  { tree, leaves }: GrownTree,
  { order }: Workshop,
  loss: Loss,
  state: State,
  settings: BoostingSettings,
): void {
  const { target, weights, scores, gradients, hessians } = state;
  for (const { node, start, end, lower, upper } of leaves) {
    const rows = order.subarray(start, end);
    let value = 0;
    if (loss.leafQuantile === null) {
      let gradient = 0;
      let hessian = 0;
      for (let index = start; index < end; index++) {
        const row = order[index] as number;
        gradient += gradients[row] as number;
        hessian += hessians[row] as number;
      }
      value = leafValue(gradient, hessian, settings);
    } else if (rows.length > 0) {
      const rest = Float64Array.from(rows, (row) => (target[row] as number) - (scores[row] as number));
      const own = weights === null ? null : Float64Array.from(rows, (row) => weights[row] as number);
      value = weightedQuantile(rest, own, loss.leafQuantile);
    }
    tree.value[node] = settings.learningRate * clamp(value, lower, upper);
  }
}

/** Rows that the tree was grown on lie sorted by leaf; others go down the tree. */
function addTo(
  scores: Float64Array,
  { tree, leaves }: GrownTree,
  { order }: Workshop,
  data: BinnedRows,
  all: boolean,
  outputs: number,
  output: number,
): void {
  if (!all) {
    addTree(
      tree,
      data,
      new Int32Array(data.rows).map((_, row) => row),
      scores,
      outputs,
      output,
    );
    return;
  }
  for (const { node, start, end } of leaves) {
    const value = tree.value[node] as number;
    for (let index = start; index < end; index++) {
      (scores[(order[index] as number) * outputs + output] as number) += value;
    }
  }
}

function rescore(
  scores: Float64Array,
  start: Float64Array,
  trees: readonly Tree[],
  data: BinnedRows,
  outputs: number,
): void {
  for (let index = 0; index < scores.length; index++) scores[index] = start[index % outputs] as number;
  const rows = new Int32Array(data.rows).map((_, row) => row);
  for (const [index, tree] of trees.entries()) addTree(tree, data, rows, scores, outputs, index % outputs);
}

function meanLoss(
  loss: Loss,
  target: Float64Array,
  weights: Float64Array | null,
  scores: Float64Array,
  rows: Int32Array,
): number {
  let sum = 0;
  let total = 0;
  for (const row of rows) {
    const weight = weights === null ? 1 : (weights[row] as number);
    sum += weight * loss.value(target[row] as number, scores, row * loss.outputs);
    total += weight;
  }
  return sum / total;
}

function largestOf(values: Float64Array): number {
  let most = Number.MIN_VALUE;
  for (const value of values) if (value > most) most = value;
  return most;
}

function barren(trees: readonly Tree[]): boolean {
  return trees.every(({ nodes }) => nodes === 1);
}

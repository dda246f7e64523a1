import { describe, expect, it } from "vitest";
import { packRows } from "../../../../models/training/boosting/bins/binned-rows.ts";
import { codeNumbers, cutNumbers } from "../../../../models/training/boosting/bins/bins.ts";
import { boost } from "../../../../models/training/boosting/boost.ts";
import { seededRandom } from "../../../../models/training/boosting/random.ts";
import { type BoostingLoss, plainSettings } from "../../../../models/training/boosting/settings.ts";
import { packHessians, packingFor } from "../../../../models/training/boosting/splits/packing.ts";

const rows = 2000;
const random = seededRandom(11);
const x = Float32Array.from({ length: rows }, () => (random() < 0.1 ? Number.NaN : random() * 10));
const z = Float32Array.from({ length: rows }, () => random());
const noise = Float64Array.from({ length: rows }, () => random() - 0.5);
const smooth = noise.map((error, row) => (Number.isNaN(x[row]) ? 3 : Math.sin(x[row]!)) + z[row]! + error);

function boosted(
  target: Float64Array,
  loss: BoostingLoss,
  settings: object = {},
  weights: Float64Array | null = null,
) {
  return boost(dataOf(0), target, weights, { ...plainSettings, loss, ...settings }, () => undefined);
}

function dataOf(monotone: -1 | 0 | 1) {
  const columns = [x, z];
  const features = columns.map((values) => {
    const thresholds = cutNumbers(values, 255, 1, true);
    return { kind: "numeric", bins: thresholds.length + 1, thresholds, monotone } as const;
  });
  return packRows(rows, features, (index, codes) =>
    codeNumbers(columns[index] as Float32Array, (features[index] as (typeof features)[0]).thresholds, codes),
  );
}

const meanOf = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("the cuts of a number", () => {
  it("lie between all values when there are few, where float32 can still tell them apart", () => {
    const values = Float32Array.of(1, 2, 16_777_216, 16_777_218, 2, Number.NaN, Number.POSITIVE_INFINITY);
    expect([...cutNumbers(values, 255, 1, true)]).toEqual([1.5, 8_388_609, 16_777_216]);
    const codes = new Uint8Array(values.length);
    codeNumbers(values, cutNumbers(values, 255, 1, true), codes);
    expect([...codes]).toEqual([0, 1, 2, 3, 1, 4, 4]);
  });

  it("give each bin its share of the rows, and a frequent value one of its own", () => {
    const values = Float32Array.from({ length: 1000 }, (_, row) => (row < 500 ? 0 : row));
    const codes = new Uint8Array(1000);
    codeNumbers(values, cutNumbers(values, 11, 1, true), codes);
    const counts = new Uint32Array(11);
    for (const code of codes) (counts[code] as number)++;
    expect([...counts]).toEqual([500, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50]);
  });

  it("refuse a code beyond the bins, which would spoil the next feature", () => {
    const features = [{ kind: "categorical", bins: 3 }] as const;
    expect(() => packRows(1, features, (_, codes) => codes.fill(4))).toThrow(/code 4 and 3 bins/);
  });
});

describe("rows and Hessians in one number", () => {
  it.each([10, 1000, 1_000_000])("come apart again, of %i rows", (count) => {
    const packing = packingFor(count, 0.25);
    const hessians = Float64Array.from(
      { length: count },
      (_, row) => (0.25 * ((row * 7919) % count)) / count,
    );
    const packed = new Float64Array(count);
    packHessians(hessians, packing, packed);
    const sum = packed.reduce((total, value) => total + value, 0);
    expect(Math.floor(sum / packing.unit)).toBe(count);
    const exact = hessians.reduce((total, value) => total + value, 0);
    expect((sum % packing.unit) * packing.quantum).toBeCloseTo(exact, 3);
  });
});

describe("boosted trees", () => {
  it("split categories by sets, in one step where the loss is all in one set, and leave rare ones with the rest", () => {
    const codes = Uint8Array.from({ length: rows }, (_, row) => (row < 5 ? 12 : row % 12));
    const high = new Set([1, 4, 5, 9, 12]);
    const target = Float64Array.from(codes, (code) => (high.has(code) ? 2 : 0));
    const data = packRows(rows, [{ kind: "categorical", bins: 13 }], (_, out) => out.set(codes));
    const settings = {
      ...plainSettings,
      trees: 1,
      learningRate: 1,
      maxLeaves: 2,
      loss: { kind: "squared" },
    } as const;
    const { trees } = boost(data, target, null, settings, () => undefined);
    const set = trees[0]?.sets[0] ?? new Uint8Array(0);
    expect(Array.from(set.keys()).filter((code) => set[code] === 1)).toEqual([1, 4, 5, 9]);
    expect(trees[0]?.missingLeft[0]).toBe(0);
  });

  it("take one split where one step is all there is, and its means as values", () => {
    const step = Float64Array.from(z, (value) => (value > 0.5 ? 4 : 1));
    const { trees, start } = boosted(step, { kind: "squared" }, { trees: 1, learningRate: 1, maxLeaves: 2 });
    const [tree] = trees;
    expect(tree?.feature[0]).toBe(1);
    expect(tree?.threshold[0]).toBeCloseTo(0.5, 2);
    const values = [1, 2].map((node) => (start[0] ?? 0) + (tree?.value[node] ?? 0));
    expect(values[0]).toBeCloseTo(1, 1);
    expect(values[1]).toBeCloseTo(4, 1);
  });

  it.each<[string, BoostingLoss, Float64Array]>([
    ["squares", { kind: "squared" }, smooth],
    ["a quantile", { kind: "quantile", quantile: 0.8 }, smooth],
    ["Huber's loss", { kind: "huber", delta: 0.3 }, smooth],
    ["Poisson's loss", { kind: "poisson" }, smooth.map((value) => Math.max(0, Math.round(value * 2)))],
    ["the logistic loss", { kind: "logistic" }, smooth.map((value) => Number(value > 1))],
    [
      "softmax",
      { kind: "softmax", classes: 3 },
      smooth.map((value) => (value < 0.5 ? 0 : value < 1.5 ? 1 : 2)),
    ],
  ])("go down %s", (_, loss, target) => {
    const { losses, scores, loss: found } = boosted(target, loss);
    expect(losses).toHaveLength(100);
    expect(losses.at(-1)).toBeLessThan(0.8 * (losses[0] ?? 0) + 0.2 * Math.min(0, losses[0] ?? 0));
    expect(scores).toHaveLength(rows * found.outputs);
    expect(scores.every(Number.isFinite)).toBe(true);
  });

  it("leave a share of the rows below that is the quantile", () => {
    const { scores } = boosted(smooth, { kind: "quantile", quantile: 0.8 });
    const below = smooth.filter((value, row) => value <= (scores[row] ?? 0)).length / rows;
    expect(Math.abs(below - 0.8)).toBeLessThan(0.03);
  });

  it("keep the mean of the target under squared, Poisson's and logistic loss", () => {
    const counts = smooth.map((value) => Math.max(0, Math.round(value * 2)));
    for (const [loss, target] of [
      [{ kind: "squared" }, smooth],
      [{ kind: "poisson" }, counts],
      [{ kind: "logistic" }, smooth.map((value) => Number(value > 1))],
    ] as const) {
      const { scores, loss: found } = boosted(target, loss);
      const predicted = scores.slice();
      found.link(predicted);
      expect(meanOf(predicted), loss.kind).toBeCloseTo(meanOf(target), 2);
    }
  });

  it("give the same trees for a seed, others for another", () => {
    const settings = { rowFraction: 0.5, columnFraction: 0.5, trees: 10 };
    const one = boosted(smooth, { kind: "squared" }, { ...settings, seed: 3 });
    expect(boosted(smooth, { kind: "squared" }, { ...settings, seed: 3 }).trees).toEqual(one.trees);
    expect(boosted(smooth, { kind: "squared" }, { ...settings, seed: 4 }).trees).not.toEqual(one.trees);
  });

  it("count a row of weight 2 as two rows, and one of weight 0 as none", () => {
    const loss = { kind: "squared" } as const;
    const weights = Float64Array.from({ length: rows }, (_, row) => (row % 2 === 0 ? 2 : 0));
    const settings = { trees: 20, minLeafRows: 1, minLeafHessian: 10 };
    const weighted = boosted(smooth, loss, settings, weights);
    const spoilt = smooth.map((value, row) => (row % 2 === 0 ? value : 1e6));
    expect(boosted(spoilt, loss, settings, weights).scores).toEqual(weighted.scores);
  });

  it("never fall where a feature must not let them, and do so without", () => {
    const wavy = boosted(smooth, { kind: "squared" });
    const rising = boost(
      dataOf(1),
      smooth,
      null,
      { ...plainSettings, loss: { kind: "squared" } },
      () => undefined,
    );
    const fallsOf = ({ scores }: typeof wavy) => {
      const order = Array.from(x.keys()).filter(
        (row) => Number.isFinite(x[row]) && z[row]! > 0.45 && z[row]! < 0.55,
      );
      const byBoth = order.flatMap((a) =>
        order.filter((b) => x[a]! <= x[b]! && z[a]! <= z[b]!).map((b) => [a, b] as const),
      );
      return byBoth.filter(([a, b]) => scores[a]! > scores[b]! + 1e-9).length;
    };
    expect(fallsOf(rising)).toBe(0);
    expect(fallsOf(wavy)).toBeGreaterThan(0);
  });

  it("keep to the bounds of a leaf's rows, leaves and depth", () => {
    const { trees } = boosted(
      smooth,
      { kind: "squared" },
      { maxLeaves: 7, maxDepth: 3, growth: "depth", trees: 5 },
    );
    for (const tree of trees) {
      expect((tree.nodes + 1) / 2).toBeLessThanOrEqual(7);
      const depth = (node: number): number =>
        tree.feature[node]! < 0 ? 0 : 1 + Math.max(depth(tree.left[node]!), depth(tree.right[node]!));
      expect(depth(0)).toBe(3);
    }
    const stump = boosted(smooth, { kind: "squared" }, { minLeafRows: rows / 2 + 1 });
    expect(stump.trees.every(({ nodes }) => nodes === 1)).toBe(true);
  });

  it("stop early with the rounds that served the rows kept aside best", () => {
    const early = boosted(
      noise,
      { kind: "squared" },
      { earlyStopping: { rounds: 5, fraction: 0.2 }, trees: 500 },
    );
    const best = early.validationLosses.indexOf(Math.min(...early.validationLosses)) + 1;
    expect(early.trees).toHaveLength(best);
    expect(early.validationLosses).toHaveLength(best + 5);
  });

  it("end when the report throws", () => {
    const stop = () => {
      throw new Error("stopped");
    };
    expect(() =>
      boost(dataOf(0), smooth, null, { ...plainSettings, loss: { kind: "squared" } }, stop),
    ).toThrow("stopped");
  });
});

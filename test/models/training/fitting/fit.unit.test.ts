import { describe, expect, it } from "vitest";
import { openGraph } from "../../../../models/training/evaluation/scoring.ts";
import { recipeInside } from "../../../../models/training/export/model-graph.ts";
import type { FitResult } from "../../../../models/training/fitting/fit.worker.ts";
import { fitRows, minute, splitAfter } from "../../../support/fitting.ts";
import reference from "../reference/pipeline.json" with { type: "json" };

/** Runs the graph of a fit. */
async function predict(fit: FitResult, inputs: Readonly<Record<string, Float32Array | string[]>>) {
  const recipe = recipeInside(fit.model);
  if (recipe === null) throw new Error("The model says nothing about itself.");
  const graph = await openGraph(fit.model, recipe);
  const rows = Object.values(inputs)[0]?.length ?? 0;
  const values = Array.from(await graph.predict(new Map(Object.entries(inputs)), rows));
  await graph.close();
  return values;
}

describe("a pipeline of imputation, standardisation, categories and a linear model", () => {
  const { columns, train } = reference;
  const rows = columns.a.map((a, row) => ({
    t: minute(row),
    a,
    b: columns.b[row],
    city: columns.city[row] === "" ? null : columns.city[row],
    hour: columns.hour[row],
    value: columns.value[row],
    flag: columns.flag[row],
  }));

  it.each(reference.cases)(
    "predicts what scikit-learn's does: $name",
    async ({ task, impute, classWeights, l2, predictions }) => {
      const linear = { l2, impute, minLevelRows: 2 };
      const fit = await fitRows(rows, {
        task,
        target: { column: task === "binary" ? "flag" : "value" },
        features: [
          { column: "a" },
          { column: "b" },
          { column: "city" },
          { column: "hour", kind: "categorical" },
        ],
        split: splitAfter(train),
        algorithm:
          task === "binary" ? { kind: "logistic", ...linear, classWeights } : { kind: "linear", ...linear },
      });
      expect(fit.rows).toEqual({ train, holdout: rows.length - train, withoutTarget: 0 });
      const holdout = rows.slice(train);
      const predicted = await predict(fit, {
        a: Float32Array.from(holdout, (row) => row.a ?? Number.NaN),
        b: Float32Array.from(holdout, (row) => row.b ?? Number.NaN),
        city: holdout.map((row) => row.city ?? ""),
        hour: Float32Array.from(holdout, (row) => row.hour ?? Number.NaN),
      });
      // The solvers stop within 1e-7 of each other; the graph's output is float32.
      for (const [row, value] of predictions.entries()) {
        expect(predicted[row], `row ${row}`).toBeCloseTo(value, 5);
      }
    },
  );
});

describe("a fit", () => {
  /** x decides y but for a tenth of the rows. */
  const table = (size: number, more: (row: number) => object = () => ({})) =>
    Array.from({ length: size }, (_, row) => ({
      t: minute(row),
      x: ((row * 37) % 101) / 10,
      y: (row * 37) % 101 > 50 !== (row % 10 === 0) ? 1 : 0,
      ...more(row),
    }));
  const request = {
    task: "binary",
    target: { column: "y" },
    features: [{ column: "x" }],
    split: splitAfter(300),
  };
  const withFeatures = (...names: string[]) => ({
    ...request,
    features: ["x", ...names].map((column) => ({ column })),
  });

  it("takes constant, empty and repeated columns in its stride, and says so", async () => {
    const rows = table(400, (row) => ({
      same: 7,
      nothing: row < 300 ? null : 3,
      twice: ((row * 37) % 101) / 10,
      only: "one",
    }));
    const fit = await fitRows(rows, withFeatures("same", "nothing", "twice", "only"));
    expect(fit.metrics).toMatchObject({ rows: 100 });
    expect("auc" in fit.metrics && fit.metrics.auc).toBeGreaterThan(0.8);
    expect(fit.notes).toEqual([
      '"same" is 7 in every training row and gets no weight.',
      '"nothing" has no value in any training row; only its absence is known to the model.',
    ]);
    expect(fit.disagreement).toBeLessThan(5e-7);
  });

  it("takes NaN and infinite values for missing ones, in training and in the graph", async () => {
    const rows = table(400, (row) => ({ z: row % 7 === 0 ? (row % 2 === 0 ? 1e300 : null) : row % 5 }));
    const fit = await fitRows(rows, withFeatures("z"));
    const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const values = await predict(fit, { x: Float32Array.of(5, 5, 5), z: Float32Array.from(odd) });
    expect(new Set(values).size).toBe(1);
    expect(values[0]).toBeGreaterThan(0);
  });

  it("gives an unknown category the weight of none, and a missing one its own when it is frequent", async () => {
    const rows = table(400, (row) => ({
      c: [null, "a", "b"][row % 3],
      y: row % 3 === 0 ? (row % 30 === 0 ? 0 : 1) : row % 2,
    }));
    const fit = await fitRows(rows, withFeatures("c"));
    const [missing, unknown, a] = await predict(fit, { x: Float32Array.of(5, 5, 5), c: ["", "new", "a"] });
    expect(missing).toBeGreaterThan(0.75);
    expect(unknown).not.toBeCloseTo(missing ?? 0, 2);
    expect(a).not.toBeCloseTo(unknown ?? 0, 2);
  });

  it("names its inputs after features of any name", async () => {
    const name = "odd \"name\" 'with' ü, numbers.fill";
    const rows = table(400, (row) => ({ [name]: row % 3, score: row % 2 === 0 ? "ü'x" : "y\\z" }));
    const fit = await fitRows(rows, withFeatures(name, "score"));
    expect(Object.keys(fit.example)).toEqual(["x", name, "score"]);
    expect(fit.disagreement).toBeLessThan(5e-7);
  });

  it("gives a feature the name that clients know it by, and keeps the names of outputs for them", async () => {
    const rows = table(400, (row) => ({ label: row % 3 }));
    await expect(fitRows(rows, withFeatures("label"))).rejects.toThrow(
      /"label" is taken by the model itself/,
    );
    const features = [{ column: "x" }, { column: "label", name: "sticker" }];
    const fit = await fitRows(rows, { ...request, features });
    expect(Object.keys(fit.example)).toEqual(["x", "sticker"]);
  });

  it("standardises large numbers that vary little without losing them", async () => {
    const rows = table(400, (row) => ({ big: 16_000_000 + ((row * 37) % 101) }));
    const fit = await fitRows(rows, { ...request, features: [{ column: "big" }] });
    expect("auc" in fit.metrics && fit.metrics.auc).toBeGreaterThan(0.8);
    expect(fit.disagreement).toBeLessThan(5e-7);
  });

  it("computes a single number in double precision too, where the sum is small and its terms are not", async () => {
    const rows = Array.from({ length: 2000 }, (_, row) => {
      const x = (row * 7) % 100;
      return { t: minute(row), x, value: 2 * x + (row % 3) };
    });
    const fit = await fitRows(rows, {
      task: "regression",
      target: { column: "value" },
      features: [{ column: "x" }],
      split: splitAfter(1000),
    });
    expect(fit.disagreement).toBeLessThan(1e-7);
  });

  it("leaves out rows without a target, and counts them", async () => {
    const rows = table(400, (row) => (row % 4 === 0 ? { y: null } : {}));
    expect((await fitRows(rows, request)).rows).toEqual({ train: 225, holdout: 75, withoutTarget: 100 });
  });

  it.each([
    ["text", { column: "late", equals: "yes" }],
    ["a truth value", { column: "is" }],
    ["a number above a threshold", { column: "minutes", greaterThan: 15 }],
  ])("makes two classes of %s", async (_, target) => {
    const rows = table(400).map((row) => ({
      ...row,
      late: row.y === 1 ? "yes" : "no",
      is: row.y === 1,
      minutes: row.y * 20,
    }));
    const same = await fitRows(rows, request);
    const fit = await fitRows(rows, { ...request, target });
    expect(fit.metrics).toEqual(same.metrics);
  });

  it("derives parts of times, in UTC, and takes missing times for missing numbers", async () => {
    const rows = table(400, (row) => ({
      seen: row % 5 === 0 ? null : `2001-05-0${1 + (row % 6)}T23:30:00-02:00`,
    }));
    const fit = await fitRows(rows, {
      ...withFeatures("hour", "dayOfWeek", "month"),
      derive: [
        { name: "hour", from: "seen", part: "hour" },
        { name: "dayOfWeek", from: "seen", part: "dayOfWeek" },
        { name: "month", from: "seen", part: "month" },
      ],
      slices: ["dayOfWeek"],
    });
    // 1 May 2001 was a Tuesday; half past eleven two hours behind UTC is half past one of the day after.
    expect(fit.example.hour?.[0]).toEqual([1]);
    expect(fit.example.month?.[0]).toEqual([5]);
    const { kind, ...profile } = fit.profile.columns[2] ?? { kind: "categorical" };
    expect(kind).toBe("numeric");
    expect(profile).toMatchObject({ nan: 60, min: 1, max: 7 });
    expect(fit.slices.reduce((sum, { metrics }) => sum + metrics.rows, 0)).toBeLessThanOrEqual(100);
  });

  it("splits by the hash of the row where there are no times, the same way each time", async () => {
    const fraction = { ...request, split: { holdoutFraction: 0.25 } };
    const [one, two] = [await fitRows(table(400), fraction), await fitRows(table(400), fraction)];
    expect(one.rows).toEqual(two.rows);
    expect(one.rows.train + one.rows.holdout).toBe(400);
    expect(Math.abs(one.rows.holdout - 100)).toBeLessThan(30);
    const other = await fitRows(table(400), { ...request, split: { holdoutFraction: 0.25, seed: 2 } });
    expect(other.metrics).not.toEqual(one.metrics);
  });

  it("splits and samples the same rows however they are ordered, and keeps their sides when rows are added", async () => {
    const rows = table(400, (row) => ({ id: row }));
    const asked = { ...request, split: { holdoutFraction: 0.25 }, sample: { fraction: 0.9 } };
    const one = await fitRows(rows, asked);
    const other = await fitRows(rows.toReversed(), asked);
    expect(other.rows).toEqual(one.rows);
    expect(other.metrics).toMatchObject({ rows: one.rows.holdout });
    for (const [name, value] of Object.entries(one.metrics)) {
      expect((other.metrics as unknown as Record<string, number>)[name], name).toBeCloseTo(value, 9);
    }
    const only = { ...asked, where: [{ column: "id", max: 399 }] };
    const grown = await fitRows([...table(500, (row) => ({ id: 1000 + row })), ...rows], only);
    expect(grown.rows).toEqual(one.rows);
  });

  it("keeps rows of one key on one side", async () => {
    const rows = table(400, (row) => ({ customer: `c${row % 40}` }));
    const asked = {
      ...request,
      split: { holdoutFraction: 0.25 },
      rowKey: ["customer"],
      slices: ["customer"],
    };
    const fit = await fitRows(rows, { ...asked, minimumRows: { train: 2, holdout: 2 } });
    expect(fit.rows.holdout % 10).toBe(0);
    await expect(fitRows(rows, { ...asked, rowKey: ["client"] })).rejects.toThrow(
      /rowKey.*no column "client"/,
    );
  });

  it("refuses to learn from, or judge by, a handful of rows", async () => {
    const rows = table(400);
    const late = { ...request, split: splitAfter(399) };
    await expect(fitRows(rows, late)).rejects.toThrow(
      /holdout .* holds one row with a target; to judge a model by it takes 30 \(minimumRows.holdout\)/,
    );
    await expect(fitRows(rows, { ...request, split: splitAfter(29) })).rejects.toThrow(
      /training period .* holds 29 rows with a target; to learn from it takes 30 \(minimumRows.train\)/,
    );
    const few = { ...request, split: splitAfter(380), minimumRows: { holdout: 20 } };
    expect((await fitRows(rows, few)).rows.holdout).toBe(20);
  });

  it.each(["logistic", "boosting"])("lets a column without any value be, and says so: %s", async (kind) => {
    const rows = table(400, (row) => ({ nothing: row < 300 ? null : "late" }));
    const fit = await fitRows(rows, { ...withFeatures("nothing"), algorithm: { kind } });
    expect(fit.notes).toContainEqual(expect.stringMatching(/"nothing" has no value in any training row/));
    const values = await predict(fit, { x: Float32Array.of(5, 5), nothing: ["", "new"] });
    expect(values.every((value) => value > 0 && value < 1)).toBe(true);
  });

  it("judges what predicts without looking at a row beside the model", async () => {
    const rows = table(400, (row) => ({ value: row % 2 === 0 ? 10 : 20, steps: row }));
    const asked = { ...request, task: "regression", target: { column: "value" } };
    const { baselines } = await fitRows(rows, { ...asked, algorithm: { kind: "linear" } });
    expect(baselines).toMatchObject({
      metric: "squaredError",
      baselines: [
        { name: "mean", value: 15, loss: 25 },
        { name: "last value", value: 20, loss: 50 },
      ],
    });
    const binary = await fitRows(table(400), request);
    expect(binary.baselines).toMatchObject({ metric: "logLoss", beaten: true });
    const noise = await fitRows(
      table(400, (row) => ({ y: (row * 7919) % 13 > 6 ? 1 : 0, x: (row * 31) % 17 })),
      { ...request, algorithm: { kind: "boosting", minLeafRows: 1, learningRate: 1 } },
    );
    expect(noise.baselines).toMatchObject({ beaten: false });
  });

  it("takes only the rows that it is asked for", async () => {
    const rows = table(400, (row) => ({ c: row % 2 === 0 ? "even" : "odd" }));
    const where = [
      { column: "c", in: ["even"] },
      { column: "x", min: 1, max: 9 },
      { column: "t", min: minute(10) },
    ];
    const expected = rows.filter((row, n) => n % 2 === 0 && row.x >= 1 && row.x <= 9 && n >= 10);
    const fit = await fitRows(rows, { ...request, where });
    expect(fit.rows.train + fit.rows.holdout).toBe(expected.length);
    const half = await fitRows(rows, { ...request, sample: { fraction: 0.5 } });
    expect(Math.abs(half.rows.train + half.rows.holdout - 200)).toBeLessThan(40);
  });

  it.each([
    ["one class only", table(400, () => ({ y: 1 })), request, /all 300 training rows are of the class 1/],
    ["a target of three values", table(400, (row) => ({ y: row % 3 })), request, /neither 0 nor 1/],
    [
      "no target in the training period",
      table(400, (row) => (row < 300 ? { y: null } : {})),
      request,
      /\(300 rows have none\)/,
    ],
    [
      "a monotone feature that is a category",
      table(400, (row) => ({ c: ["a", "b"][row % 2] })),
      { ...withFeatures("c"), algorithm: { kind: "boosting", monotone: { c: "increasing" } } },
      /monotone: "c": it is categorical.*numeric features are x/,
    ],
    [
      "negative counts",
      table(400, (row) => ({ n: row - 5 })),
      {
        ...request,
        task: "regression",
        target: { column: "n" },
        algorithm: { kind: "boosting", loss: "poisson" },
      },
      /target: the value -5 is negative/,
    ],
    ["an empty holdout", table(300), request, /holdout .* holds no row/],
    [
      "a penalty of 0 on equal columns",
      table(400, (row) => ({ z: ((row * 37) % 101) / 10 })),
      { ...withFeatures("z"), algorithm: { kind: "logistic", l2: 0 } },
      /collinear/,
    ],
  ])("refuses %s, and says why", async (_, rows, asked, message) => {
    await expect(fitRows(rows, asked)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(message),
    });
  });
});

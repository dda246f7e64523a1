import { describe, expect, it } from "vitest";
import { boostingTrainer } from "../../../../models/training/boosting/boosting-trainer.ts";
import { seededRandom } from "../../../../models/training/boosting/random.ts";
import type { Recipe } from "../../../../models/training/data/recipe.ts";
import type { TrainingRows } from "../../../../models/training/data/training-rows.ts";
import { openGraph } from "../../../../models/training/evaluation/scoring.ts";
import { modelGraph } from "../../../../models/training/export/model-graph.ts";
import { linearTrainer } from "../../../../models/training/linear/linear-trainer.ts";
import { TrainingSpec } from "../../../../models/training/schemas.ts";

/** Numbers of every size, missing and infinite ones, whole numbers of 64 bits, and categories as texts and numbers. */
const random = seededRandom(7);
const pick = <Value>(values: readonly Value[]): Value =>
  values[Math.floor(random() * values.length)] as Value;
const anyNumber = () =>
  pick([
    () => random() * 2 - 1,
    () => (random() - 0.5) * 10 ** (Math.floor(random() * 76) - 38),
    () => Math.floor((random() - 0.5) * 2 ** 64),
    () => 1_700_000_000 + Math.floor(random() * 1000),
    () =>
      pick([
        Number.NaN,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        0,
        -0,
        1e-45,
        -1e-45,
        3.4028235e38,
      ]),
  ])();
const cities = ["oslo", "köln", "bern", "", 'naïve "quoted"', "x", "y", "z"];

function inputsOf(rows: number, unseen: boolean): Map<string, Float32Array | string[]> {
  return new Map<string, Float32Array | string[]>([
    ["any", Float32Array.from({ length: rows }, anyNumber)],
    ["narrow", Float32Array.from({ length: rows }, () => (random() < 0.1 ? Number.NaN : random() * 10))],
    ["big", Float32Array.from({ length: rows }, () => Math.floor(random() * 2 ** 62))],
    ["city", Array.from({ length: rows }, () => (unseen && random() < 0.1 ? "never" : pick(cities)))],
    [
      "line",
      Float32Array.from({ length: rows }, () =>
        unseen && random() < 0.2 ? anyNumber() : Math.floor(random() * 40),
      ),
    ],
  ]);
}

function trainingRows(
  rows: number,
  target: (row: number, inputs: Map<string, Float32Array | string[]>) => number,
) {
  const inputs = inputsOf(rows, false);
  const coded = <Value extends string | number>(values: ArrayLike<Value>) => {
    const counts = new Map<Value, number>();
    for (const value of Array.from(values)) counts.set(value, (counts.get(value) ?? 0) + 1);
    const levels = [...counts]
      .map(([value, count]) => ({ value, rows: count }))
      .sort((a, b) => b.rows - a.rows);
    const codeOf = new Map(levels.map(({ value }, code) => [value, code]));
    return { levels, codes: Int32Array.from(Array.from(values), (value) => codeOf.get(value) ?? -1) };
  };
  const numeric = (name: string) =>
    ({ kind: "numeric", name, values: inputs.get(name) as Float32Array }) as const;
  const line = inputs.get("line") as Float32Array;
  const data: TrainingRows = {
    rows,
    withoutTarget: 0,
    lastTarget: null,
    target: Float64Array.from({ length: rows }, (_, row) => target(row, inputs)),
    features: [
      numeric("any"),
      numeric("narrow"),
      numeric("big"),
      { kind: "text levels", name: "city", ...coded(inputs.get("city") as string[]), others: new Map() },
      { kind: "number levels", name: "line", values: line, ...coded(line) },
    ],
  };
  return data;
}

const signal = (row: number, inputs: Map<string, Float32Array | string[]>) => {
  const at = (name: string) => inputs.get(name)?.[row] as number;
  const any = at("any");
  return (
    (Number.isFinite(any) ? Math.tanh(any) : 0.5) +
    (Number.isNaN(at("narrow")) ? 1 : Math.sin(at("narrow"))) +
    (at("big") > 2 ** 61 ? 1 : 0) +
    ((inputs.get("city")?.[row] as string) === "köln" ? 1.5 : 0) +
    (at("line") % 7 === 3 ? -1 : 0)
  );
};

const recipeFor = (task: "regression" | "binary"): Recipe => ({
  task,
  target: { column: "y" },
  features: (["any", "narrow", "big", "city", "line"] as const).map((name) => ({
    name,
    kind: name === "city" || name === "line" ? "categorical" : "numeric",
    input: name === "city" ? "text" : "number",
    source: { column: name, boolean: false },
  })),
});

const cases = [
  { task: "binary", algorithm: { kind: "boosting" } },
  { task: "binary", algorithm: { kind: "boosting", growth: "depth", maxDepth: 4, classWeights: "balanced" } },
  { task: "binary", algorithm: { kind: "logistic" } },
  { task: "regression", algorithm: { kind: "boosting" } },
  { task: "regression", algorithm: { kind: "boosting", loss: "quantile", quantile: 0.9 } },
  {
    task: "regression",
    algorithm: { kind: "boosting", loss: "huber", rowFraction: 0.7, columnFraction: 0.6 },
  },
  { task: "regression", algorithm: { kind: "boosting", loss: "poisson", earlyStopping: {} } },
  { task: "regression", algorithm: { kind: "boosting", monotone: { narrow: "increasing" } } },
  { task: "regression", algorithm: { kind: "linear" } },
] as const;

describe.each(cases)("the graph of $algorithm for a $task", ({ task, algorithm }) => {
  const spec = TrainingSpec.parse({
    dataset: "rows",
    task,
    target: { column: "y" },
    features: [{ column: "any" }],
    split: { holdoutFraction: 0.5 },
    algorithm,
  });

  it("predicts what the trainer does for 10,000 rows that training has not seen", async () => {
    const rows = trainingRows(4000, (row, inputs) =>
      task === "binary"
        ? Number(signal(row, inputs) + random() > 1.5)
        : "loss" in algorithm && algorithm.loss === "poisson"
          ? Math.floor(Math.exp(signal(row, inputs)) * random() * 2)
          : 1000 * signal(row, inputs) + random(),
    );
    if (spec.algorithm === undefined) throw new Error("The algorithm is given.");
    const trainer = spec.algorithm.kind === "boosting" ? boostingTrainer : linearTrainer;
    const fitted = trainer.fit(rows, { task, algorithm: spec.algorithm, report: () => undefined });
    const recipe = recipeFor(task);
    const identity = {
      dataset: "d",
      datasetVersion: "v",
      algorithm: algorithm.kind,
      codeVersion: "test",
      choice: spec,
    };
    const graph = await openGraph(modelGraph(recipe, fitted.graph(), identity), recipe);
    const inputs = inputsOf(10_000, true);
    const fromGraph = await graph.predict(inputs, 10_000);
    const fromTrainer = fitted.predict(inputs, 10_000);
    await graph.close();
    let largest = 0;
    for (const [row, expected] of fromTrainer.entries()) {
      const difference = Math.abs((fromGraph[row] ?? Number.NaN) - expected);
      const relative = difference / Math.max(1, fitted.magnitude, Math.abs(expected));
      if (!(relative <= largest)) largest = relative;
    }
    expect(largest).toBeLessThanOrEqual(fitted.tolerance);
    expect(new Set(fromTrainer).size).toBeGreaterThan(100);
  });
});

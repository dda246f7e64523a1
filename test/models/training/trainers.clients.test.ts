import path from "node:path";
import { describe, expect, it } from "vitest";
import { writeFlights } from "../../../examples/demo/flights.ts";
import { boostingTrainer } from "../../../models/training/boosting/boosting-trainer.ts";
import type { FeatureColumn } from "../../../models/training/data/training-rows.ts";
import { binaryMetrics, regressionMetrics } from "../../../models/training/evaluation/evaluation.ts";
import { type Design, fitLinear, type LinearFit, scoresOf } from "../../../models/training/linear/newton.ts";
import { TrainingSpec } from "../../../models/training/schemas.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import { pythonPath, runPython } from "../../support/python.ts";

interface Study {
  readonly name: string;
  readonly binary: boolean;
  readonly columns: readonly (readonly number[])[];
  readonly standard: readonly (readonly number[])[];
  readonly categorical: readonly number[];
  readonly target: readonly number[];
  readonly weights: readonly number[];
  readonly intercept: number;
  readonly folds: readonly (readonly number[])[];
  readonly score: number;
}

const python = pythonPath();

describe.skipIf(python === undefined)(
  "beside scikit-learn on breast cancer, diabetes and flights",
  async () => {
    const studies = python === undefined ? [] : await studiesOf(python);

    it.each(studies)("the linear model of $name reaches the same objective", (study) => {
      const design: Design = {
        rows: study.target.length,
        dense: study.standard.map((column) => Float64Array.from(column)),
        categorical: [],
      };
      const target = Float64Array.from(study.target);
      const ours = fitLinear(design, target, { loss: study.binary ? "logistic" : "squared", l2: 1 });
      const theirs = { weights: Float64Array.from(study.weights), intercept: study.intercept };
      const [found, expected] = [ours, theirs].map((fit) => objective(design, target, fit, study.binary));
      expect(Math.abs((found ?? 0) - (expected ?? 0)) / (expected ?? 1)).toBeLessThan(1e-6);
    });

    it.each(studies)("boosted trees predict rows of $name that they have not seen as well", (study) => {
      const scores = study.folds.map((fold) => outOfFold(study, fold));
      const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
      const worse = study.binary ? study.score / mean - 1 : mean / study.score - 1;
      expect(worse, `${mean} against ${study.score}`).toBeLessThan(0.005);
    });
  },
);

async function studiesOf(executable: string): Promise<Study[]> {
  return inScratchDirectory(async (directory) => {
    const file = path.join(directory, "flights.csv");
    await writeFlights(file, { share: 0.005, format: "csv" });
    const run = await runPython(executable, "trainers_scenario.py", [file], { OMP_NUM_THREADS: "1" });
    if (run.exitCode !== 0) throw new Error(run.stderr);
    return JSON.parse(run.stdout);
  });
}

/** The sum of the losses and half the squared weights, which both minimise. */
function objective(
  design: Design,
  target: Float64Array,
  fit: Pick<LinearFit, "weights" | "intercept">,
  binary: boolean,
): number {
  const scores = scoresOf(design, fit);
  let sum = 0.5 * fit.weights.reduce((total, weight) => total + weight ** 2, 0);
  for (const [row, score] of scores.entries()) {
    const wanted = target[row] ?? 0;
    sum += binary
      ? Math.max(score, 0) - score * wanted + Math.log1p(Math.exp(-Math.abs(score)))
      : 0.5 * (score - wanted) ** 2;
  }
  return sum;
}

/** AUC, or the root mean squared error, of predictions for rows that were left out of the fit. */
function outOfFold(study: Study, fold: readonly number[]): number {
  const predicted = new Float64Array(fold.length);
  const algorithm = TrainingSpec.shape.algorithm.parse({ kind: "boosting", trees: 50 });
  if (algorithm === undefined) throw new Error("The algorithm is given.");
  for (let index = 0; index < 5; index++) {
    const rowsOf = (test: boolean) => fold.flatMap((own, row) => ((own === index) === test ? [row] : []));
    const [train, test] = [rowsOf(false), rowsOf(true)];
    const features = study.columns.map((column, at) =>
      featureOf(column, train, at, study.categorical.includes(at)),
    );
    const target = Float64Array.from(train, (row) => study.target[row] ?? 0);
    const rows = { rows: train.length, withoutTarget: 0, target, lastTarget: null, features };
    const task = study.binary ? "binary" : "regression";
    const fitted = boostingTrainer.fit(rows, { task, algorithm, report: () => undefined });
    const inputs = new Map(
      study.columns.map((column, at) => [`f${at}`, Float32Array.from(test, (row) => column[row] ?? 0)]),
    );
    const found = fitted.predict(inputs, test.length);
    for (const [at, row] of test.entries()) predicted[row] = found[at] ?? 0;
  }
  return study.binary
    ? (binaryMetrics(study.target, predicted).auc ?? 0)
    : regressionMetrics(study.target, predicted).rmse;
}

function featureOf(
  column: readonly number[],
  train: readonly number[],
  at: number,
  categorical: boolean,
): FeatureColumn {
  const values = Float32Array.from(train, (row) => column[row] ?? 0);
  const name = `f${at}`;
  if (!categorical) return { kind: "numeric", name, values };
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const levels = [...counts]
    .map(([value, rows]) => ({ value, rows }))
    .sort((a, b) => b.rows - a.rows || a.value - b.value);
  const codeOf = new Map(levels.map(({ value }, code) => [value, code]));
  const codes = Int32Array.from(values, (value) => codeOf.get(value) ?? -1);
  return { kind: "number levels", name, values, levels, codes };
}

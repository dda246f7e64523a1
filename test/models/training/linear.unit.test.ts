import { describe, expect, it } from "vitest";
import {
  binaryMetrics,
  calibration,
  regressionMetrics,
} from "../../../models/training/evaluation/evaluation.ts";
import { type Design, fitLinear, scoresOf, sigmoid } from "../../../models/training/linear/newton.ts";
import reference from "./reference/linear.json" with { type: "json" };

/** The rows that the reference values were computed on: linear congruential sequences, equal in every language. */
const rows = 400;
const sequence = (seed: number) => {
  const values = new Float64Array(rows);
  let state = BigInt(seed);
  for (let row = 0; row < rows; row++) {
    state = (1103515245n * state + 12345n) % 2147483648n;
    values[row] = Number(state) / 2147483648;
  }
  return values;
};
const a = sequence(1).map((x) => x * 4 - 2);
const b = sequence(2).map((x) => x * 2 - 1);
const codes = Int32Array.from(sequence(3), (x) => Math.trunc(x * 4) - 1);
const noise = sequence(4);
const scores = a.map((x, row) => 0.8 * x - 1.5 * b[row]! + (codes[row] === 0 ? 0.7 : 0) - 0.3);
const target = scores.map((score, row) => score + noise[row]! - 0.5);
const labels = scores.map((score, row) => (sigmoid(score) > noise[row]! ? 1 : 0));
const sampleWeights = sequence(5).map((x) => 0.5 + x);
const design: Design = { rows, dense: [a, b], categorical: [{ codes, levels: 3 }] };

describe("a linear model", () => {
  it.each(reference.cases)(
    "has scikit-learn's weights: $name",
    ({ loss, l2, weighted, weights, intercept }) => {
      const fit = fitLinear(design, loss === "squared" ? target : labels, {
        loss: loss as "squared" | "logistic",
        l2,
        ...(weighted ? { sampleWeights } : {}),
      });
      expect(fit.converged).toBe(true);
      // Both solve a convex problem to the limits of double precision; solvers stop 1e-8 apart.
      for (const [index, weight] of weights.entries()) expect(fit.weights[index]).toBeCloseTo(weight, 7);
      expect(fit.intercept).toBeCloseTo(intercept, 7);
    },
  );

  it("settles on finite weights when one column separates the classes", () => {
    const separated = a.map((x) => (x > 0 ? 1 : 0));
    const fit = fitLinear(design, separated, { loss: "logistic", l2: 1e-3 });
    expect(fit.weights.every(Number.isFinite)).toBe(true);
    expect(binaryMetrics(separated, scoresOf(design, fit).map(sigmoid)).auc).toBe(1);
  });

  it("shares the weight of equal columns, and says that it cannot without a penalty", () => {
    const twice: Design = { rows, dense: [a, a], categorical: [] };
    const fit = fitLinear(twice, target, { loss: "squared", l2: 1 });
    expect(fit.weights[0]).toBeCloseTo(fit.weights[1]!, 9);
    expect(() => fitLinear(twice, target, { loss: "squared", l2: 0 })).toThrow(/collinear.*l2/);
  });

  it("gives a constant column no weight", () => {
    const constant: Design = { rows, dense: [a, new Float64Array(rows)], categorical: [] };
    expect(fitLinear(constant, target, { loss: "squared", l2: 1 }).weights[1]).toBe(0);
  });

  it("refuses columns of another length", () => {
    expect(() => fitLinear(design, target.slice(1), { loss: "squared", l2: 1 })).toThrow(
      /399 values.*400 rows/,
    );
  });
});

describe("evaluation", () => {
  const probabilities = sequence(6).map((x) => Math.round(x * 100) / 100);

  it("has scikit-learn's values for a binary outcome, ties included", () => {
    const metrics = binaryMetrics(labels, probabilities);
    for (const [name, value] of Object.entries(reference.binary)) {
      expect(metrics[name as keyof typeof metrics], name).toBeCloseTo(value, 12);
    }
  });

  it("has scikit-learn's values for a regression", () => {
    const metrics = regressionMetrics(target, a);
    for (const [name, value] of Object.entries(reference.regression)) {
      expect(metrics[name as keyof typeof metrics], name).toBeCloseTo(value, 12);
    }
  });

  it("leaves open what one class alone cannot tell", () => {
    expect(binaryMetrics([0, 0], [0.1, 0.2])).toMatchObject({
      auc: null,
      averagePrecision: null,
      recall: null,
    });
  });

  it("puts each probability into one bin, the ends included", () => {
    const bins = calibration([0, 1, 1], [0, 1, 0.95]);
    expect(bins.map((bin) => bin.rows)).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    expect(bins[9]).toMatchObject({ meanProbability: 0.975, positiveShare: 1 });
  });
});

import { describe, expect, it } from "vitest";
import type { Observation } from "../../../../models/serving/inference/data-plane.ts";
import { compareVariants } from "../../../../models/serving/traffic/comparison.ts";
import {
  addToTally,
  emptyTally,
  latencyQuantile,
  mergeTallies,
  type Tally,
} from "../../../../models/serving/traffic/tally.ts";

const observation = (
  values: readonly number[],
  durationMs: number,
  answered?: readonly number[],
): Observation => {
  const tensor = (data: readonly number[]) => ({
    Y: { datatype: "FP64" as const, shape: [data.length], data: Float64Array.from(data) },
  });
  const who = { modelName: "m", modelVersion: "1", deployment: "d", revision: 1, variant: "v" };
  return {
    prediction: {
      ...who,
      requestId: "r",
      atMs: 0,
      shadow: answered !== undefined,
      inputs: {},
      outputs: tensor(values),
      status: "ok",
      durationMs,
    },
    timings: { routeMs: 0, loadMs: 0, decodeMs: 0, waitMs: 0, runMs: 0 },
    executions: 1,
    answered: answered === undefined ? null : { servedBy: who, outputs: tensor(answered) },
  };
};
const tallyOf = (...observations: Observation[]): Tally => {
  const tally = emptyTally();
  for (const one of observations) addToTally(tally, one);
  return tally;
};

describe("a tally", () => {
  it("merges to what one tally of everything would be", () => {
    const parts = [[1, 2, 3], [4], [5, 6, Number.NaN], [7, Number.POSITIVE_INFINITY]].map((values, i) =>
      observation(values, 2 ** i),
    );
    const merged = parts.map((part) => tallyOf(part)).reduce(mergeTallies);
    const whole = tallyOf(...parts);
    expect(merged.outputs.Y?.numbers.mean).toBeCloseTo(4, 12);
    expect(merged.outputs.Y?.numbers.m2).toBeCloseTo(whole.outputs.Y?.numbers.m2 ?? 0, 10);
    const rounded = (tally: Tally) => ({ ...tally, outputs: tally.outputs.Y?.labels });
    expect(rounded(merged)).toEqual(rounded(whole));
    expect(merged.outputs.Y).toMatchObject({ min: 1, max: 7, nonFinite: 2 });
  });

  it("survives the way through JSON", () => {
    const tally = tallyOf(observation([1, Number.NaN], 3, [1, 2]));
    expect(JSON.parse(JSON.stringify(tally))).toEqual(tally);
  });

  it("gives percentiles of latency within five per cent", () => {
    const tally = tallyOf(...Array.from({ length: 1000 }, (_, i) => observation([1], i + 1)));
    for (const p of [0.5, 0.9, 0.99]) {
      const estimate = latencyQuantile(tally.latency, p) ?? 0;
      expect(Math.abs(estimate / (1000 * p) - 1)).toBeLessThan(0.05);
    }
    expect(latencyQuantile({}, 0.5)).toBeNull();
  });

  it("calls values equal that differ by rounding, and NaN equal to NaN", () => {
    const tally = tallyOf(observation([1, Number.NaN, 5], 1, [1 + 1e-7, Number.NaN, 5.1]));
    expect(tally.agreement.Y).toMatchObject({ rows: 3, agreed: 2 });
  });

  it("bounds the labels that it keeps", () => {
    const parts = Array.from({ length: 3 }, (_, part) => {
      const tally = emptyTally();
      const one = observation([], 1);
      const data = Array.from({ length: 100 }, (_v, i) => `label-${part}-${i}`);
      const outputs = { L: { datatype: "BYTES" as const, shape: [100], data } };
      addToTally(tally, { ...one, prediction: { ...one.prediction, outputs } });
      return tally;
    });
    const merged = parts.reduce(mergeTallies);
    const kept = Object.values(merged.outputs.L?.labels ?? {});
    expect(kept).toHaveLength(50);
    expect(kept.reduce((sum, count) => sum + count, 0) + (merged.outputs.L?.otherLabels ?? 0)).toBe(300);
  });
});

describe("the intervals of a comparison", () => {
  const key = {
    deployment: "d",
    revision: 1,
    modelName: "m",
    modelVersion: "1",
    shadow: false,
  };
  const withErrors = (requests: number, errors: number): Tally => ({
    ...emptyTally(),
    requests,
    errors: { internal: errors },
  });

  it("are Wilson's and Newcombe's for error rates", () => {
    // R. G. Newcombe 1998, table II, 56/70 against 48/80, method 10: 0.2 (0.0524 to 0.3339).
    const [a] = compareVariants(
      [
        { ...key, variant: "a", tally: withErrors(70, 56) },
        { ...key, variant: "b", tally: withErrors(80, 48) },
      ],
      "b",
    );
    expect(a?.comparedWith?.errorRateDifference.value).toBeCloseTo(0.2, 12);
    expect(a?.comparedWith?.errorRateDifference.low).toBeCloseTo(0.0524, 4);
    expect(a?.comparedWith?.errorRateDifference.high).toBeCloseTo(0.3339, 4);
    // scipy.stats.binomtest(56, 70).proportion_ci(method="wilson")
    expect(a?.errorRate.low).toBeCloseTo(0.69183356, 8);
    expect(a?.errorRate.high).toBeCloseTo(0.87695261, 8);
  });

  it("say nothing about nothing", () => {
    const [a] = compareVariants([{ ...key, variant: "a", tally: emptyTally() }], "b");
    expect(a?.errorRate).toEqual({ value: null, low: null, high: null });
    expect(a?.comparedWith).toBeNull();
  });
});

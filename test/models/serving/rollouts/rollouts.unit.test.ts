import { describe, expect, it } from "vitest";
import { judgeGates } from "../../../../models/serving/rollouts/gates.ts";
import { specAt } from "../../../../models/serving/rollouts/plan.ts";
import type { Gate } from "../../../../models/serving/rollouts/schemas.ts";
import { emptyTally, type Tally } from "../../../../models/serving/traffic/tally.ts";

const tally = (requests: number, more: Partial<Tally> = {}): Tally => ({
  ...emptyTally(),
  requests,
  ...more,
});
const judge = (gate: Gate, ours: Tally, champions: Tally = emptyTally(), copies = false) =>
  judgeGates([gate], { ours, champions, copies })[0];
const numbers = (count: number, nonFinite: number) => ({
  numbers: { count, mean: 0, m2: 0 },
  min: 0,
  max: 0,
  nonFinite,
  labels: {},
  otherLabels: 0,
});

describe("a gate on a share", () => {
  const gate: Gate = { signal: "error_rate", max: 0.02, minimumRequests: 100 };

  it("passes within its limit, and gives Wilson's interval of 99 %", () => {
    // Without a hit its upper end is z² / (n + z²), with z = 2.5758293.
    const verdict = judge(gate, tally(100));
    expect(verdict).toMatchObject({ verdict: "pass", value: 0, low: 0, limit: 0.02 });
    expect(verdict?.high).toBeCloseTo(6.634896601 / 106.634896601, 9);
  });
  it("fails when the whole interval lies beyond the limit", () => {
    expect(judge(gate, tally(100, { errors: { internal: 12 } }))).toMatchObject({
      verdict: "fail",
      value: 0.12,
    });
  });
  it("waits when chance may have taken the value beyond the limit", () => {
    expect(judge(gate, tally(100, { errors: { internal: 4 } }))).toMatchObject({
      verdict: "wait",
      sentence: expect.stringMatching(/4 % over 100 requests.*More requests will tell it from chance\.$/),
    });
  });
  it("waits for its requests, however bad the first ones are", () => {
    expect(judge(gate, tally(99, { errors: { internal: 99 } }))).toMatchObject({ verdict: "wait" });
  });
  it("leaves out what callers did wrong", () => {
    expect(judge(gate, tally(100, { errors: { invalid: 90, internal: 1 } }))).toMatchObject({ value: 0.01 });
  });
});

describe("a gate on the difference from the champion", () => {
  const gate: Gate = { signal: "error_rate_difference", max: 0.01, minimumRequests: 100 };

  it("holds nothing against a version that fails as often as the champion", () => {
    const half = { errors: { internal: 500 } };
    expect(judge(gate, tally(1000, half), tally(1000, half))).toMatchObject({ verdict: "pass", value: 0 });
  });
  it("fails a version that refuses what the champion takes", () => {
    const ours = tally(1000, { errors: { invalid: 50 } });
    expect(judge(gate, ours, tally(1000))).toMatchObject({ verdict: "fail", value: 0.05 });
  });
  it("waits for the champion's requests too", () => {
    expect(judge(gate, tally(1000), tally(12))).toMatchObject({
      verdict: "wait",
      sentence: "Only 12 of the champion's requests so far; 100 are needed.",
    });
  });
});

describe("a gate on latency", () => {
  const gate: Gate = { signal: "latency_p95_ratio", max: 1.5, minimumRequests: 10 };
  /** Buckets are eighths of a doubling: 24 is 8 ms, 32 is 16 ms. */
  const at = (bucket: number, count: number) => tally(count, { latency: { [bucket]: count } });

  it("compares percentiles", () => {
    expect(judge(gate, at(24, 500), at(24, 500))).toMatchObject({ verdict: "pass", value: 1 });
    expect(judge(gate, at(32, 500), at(24, 500))).toMatchObject({
      verdict: "fail",
      value: 2,
      low: 2,
      high: 2,
    });
  });
  it("waits where so few requests do not show the percentile", () => {
    expect(judge(gate, at(32, 20), at(24, 20))).toMatchObject({
      verdict: "wait",
      value: 2,
      low: 0,
      high: null,
    });
  });
});

describe("a gate on invalid outputs", () => {
  const gate: Gate = { signal: "invalid_output_share", max: 0.01, minimumRequests: 10 };

  it("judges the share of answers, and names the worst output", () => {
    const outputs = { good: numbers(1000, 0), bad: numbers(900, 100) };
    expect(judge(gate, tally(1000, { outputs, invalid: 100 }))).toMatchObject({
      verdict: "fail",
      value: 0.1,
      sentence: expect.stringContaining('output "bad"'),
    });
  });
  it("passes outputs of texts alone, and waits without any", () => {
    expect(judge(gate, tally(10, { outputs: { label: numbers(0, 0) } }))).toMatchObject({ verdict: "pass" });
    expect(judge(gate, tally(10, { errors: { internal: 10 } }))).toMatchObject({ verdict: "wait" });
  });
});

describe("a gate on agreement", () => {
  const gate: Gate = { signal: "agreement", min: 0.9, minimumRequests: 10 };
  const agreement = (agreed: number) => ({
    agreement: { Y: { rows: 1000, agreed, differences: { count: 0, mean: 0, m2: 0 } } },
  });

  it.each([
    [950, "pass"],
    [890, "wait"],
    [700, "fail"],
  ] as const)("with %i of 1000 rows: %s", (agreed, verdict) => {
    expect(judge(gate, tally(1000, agreement(agreed)), emptyTally(), true)).toMatchObject({ verdict });
  });
  it("is judged on copies only, and latency on answers only", () => {
    expect(judge(gate, tally(1000, agreement(0)))).toBeUndefined();
    const latency: Gate = { signal: "latency_p99_ratio", max: 2, minimumRequests: 1 };
    expect(judge(latency, tally(1000), tally(1000), true)).toBeUndefined();
  });
});

describe("what is served at a step", () => {
  const base = {
    variants: [
      { name: "a", model: "m", version: "1", weight: 66.6 },
      { name: "b", model: "m", version: "2", weight: 33.4 },
    ],
    shadows: [{ name: "s", model: "m", version: "4", fraction: 0.1 }],
    sticky: null,
    timeoutMs: 1000,
    batching: true,
  };
  const target = { name: "new", model: "m", version: "3" };

  it.each([0, 0.1, 10, 33.3, 50, 99.9, 100])("sums to 100 with %d % for the new variant", (weight) => {
    const { variants } = specAt(base, target, { weight, shadowFraction: null });
    expect(variants.reduce((sum, variant) => sum + variant.weight, 0)).toBeCloseTo(100, 9);
    expect(variants.find(({ name }) => name === "new")?.weight ?? 0).toBe(weight);
  });
  it("leaves other shadows alone", () => {
    const step = { weight: 0, shadowFraction: 0.5 };
    expect(specAt(base, target, step).shadows).toEqual([...base.shadows, { ...target, fraction: 0.5 }]);
    expect(specAt(base, target, { weight: 100, shadowFraction: null })).toEqual({
      variants: [{ ...target, weight: 100 }],
      shadows: base.shadows,
    });
  });
});

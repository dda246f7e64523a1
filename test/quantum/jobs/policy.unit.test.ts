import { describe, expect, it } from "vitest";
import { type Findings, passGates } from "../../../quantum/jobs/policy.ts";
import { estimatePrice } from "../../../quantum/jobs/prices.ts";
import { type Policy, SubmitBody } from "../../../quantum/schemas.ts";
import { localTargets } from "../../../quantum/workspaces/targets.ts";

const target = localTargets[0]!;
const gates = { oneQubit: 10, twoQubit: 20, wider: {}, measurements: 4, qubits: 4, exact: true };
const findings: Findings = {
  target,
  profileFault: null,
  tests: [{ name: "main.T", passed: true, repeats: 1, failedRepeats: 0, failure: null }],
  estimate: {
    physicalQubits: 1000,
    runtimeNs: 2e9,
    logicalQubits: 5,
    codeDistance: 7,
    tStates: 0,
    rqops: null,
    errorBudget: 0.001,
  },
  estimateFault: null,
  price: { amount: 12, unit: "USD", rule: "", asOf: "2026-08" },
};
const policy = (changes: Partial<Policy>): Policy => ({
  ...SubmitBody.parse({ language: "qsharp", source: "x" }).policy,
  ...changes,
});
const failed = (changes: Partial<Policy>, found: Partial<Findings> = {}) =>
  passGates(policy(changes), { ...findings, ...found })
    .filter(({ passed }) => !passed)
    .map(({ gate }) => gate);

describe("the gates of a policy", () => {
  it("pass what is within every limit", () => {
    const limits = {
      maxPhysicalQubits: 1000,
      maxRuntimeSeconds: 2,
      maxPrice: { amount: 12, unit: "USD" },
      maxQueueSeconds: 0,
    };
    expect(failed(limits)).toEqual([]);
  });

  it.each([
    [{ maxPhysicalQubits: 999 }, {}, "maxPhysicalQubits"],
    [{ maxRuntimeSeconds: 1.9 }, {}, "maxRuntimeSeconds"],
    [{ maxPrice: { amount: 11.99, unit: "USD" } }, {}, "maxPrice"],
    [{ maxPrice: { amount: 100, unit: "HQC" } }, {}, "maxPrice"],
    [{ maxQueueSeconds: 60 }, { target: { ...target, averageQueueTimeSeconds: 61 } }, "maxQueueSeconds"],
    [{}, { target: { ...target, availability: "Unavailable" } }, "targetAvailable"],
    [{}, { profileFault: "cannot use a dynamic bool" }, "fitsProfile"],
    [{}, { tests: [{ ...findings.tests[0]!, passed: false }] }, "testsPass"],
  ] as [Partial<Policy>, Partial<Findings>, string][])("%j with %j stops at one", (changes, found, gate) => {
    expect(failed(changes, found)).toEqual([gate]);
  });

  it("do not pass what is not known", () => {
    expect(failed({ maxPhysicalQubits: 1e9 }, { estimate: null, estimateFault: "too wide" })).toEqual([
      "maxPhysicalQubits",
    ]);
    expect(failed({ maxPrice: { amount: 1e9, unit: "USD" } }, { price: null })).toEqual(["maxPrice"]);
    expect(
      failed({ maxPrice: { amount: 1e9, unit: "USD" } }, { price: { ...findings.price!, amount: null } }),
    ).toEqual(["maxPrice"]);
  });

  it("pass what is free in any unit", () => {
    const price = { ...findings.price!, amount: 0 };
    expect(failed({ maxPrice: { amount: 0, unit: "HQC" } }, { price })).toEqual([]);
  });
});

describe("the price of a run", () => {
  it("follows IonQ's rule above its minimum, wide gates counted as 6(n - 2)", () => {
    expect(estimatePrice("ionq.qpu.forte-1", gates, 100)?.amount).toBe(97.5);
    // 100,000 shots: 10 x .00022 + 20 x .000975 = .0217 each
    expect(estimatePrice("ionq.qpu.forte-1", gates, 100_000)?.amount).toBeCloseTo(2170, 6);
    const wide = { ...gates, oneQubit: 0, twoQubit: 0, wider: { 4: 1 } };
    expect(estimatePrice("ionq.qpu.forte-1", wide, 100_000)?.amount).toBeCloseTo(100_000 * 12 * 0.000975, 6);
  });

  it("follows Quantinuum's credits, its syntax checkers free", () => {
    // 5 + 1000 (10 + 200 + 20) / 5000
    expect(estimatePrice("quantinuum.qpu.h2-1", gates, 1000)).toMatchObject({ amount: 51, unit: "HQC" });
    expect(estimatePrice("quantinuum.sim.h2-1sc", gates, 1000)?.amount).toBe(0);
  });

  it("is free on simulators here, open where only the run shows it, and unknown elsewhere", () => {
    expect(estimatePrice("ketline.simulator", gates, 1000)?.amount).toBe(0);
    expect(estimatePrice("rigetti.qpu.cepheus-1-108q", gates, 1000)?.amount).toBeNull();
    expect(estimatePrice("nobody.qpu", gates, 1000)).toBeNull();
  });
});

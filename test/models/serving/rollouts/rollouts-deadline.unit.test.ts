import { describe, expect, it } from "vitest";
import {
  deadlineMs,
  hasWaitedEnough,
  missingEvidence,
} from "../../../../models/serving/rollouts/deadline.ts";
import { paused, resumed } from "../../../../models/serving/rollouts/progress.ts";
import type { StepReport, Verdict } from "../../../../models/serving/rollouts/schemas.ts";
import type { StoredRollout } from "../../../../models/serving/rollouts/store.ts";

const step = (more: Partial<StepReport> = {}): StepReport => ({
  weight: 10,
  minutes: 1,
  minimumRequests: 0,
  shadowFraction: null,
  progressDeadlineMs: 100_000,
  state: "current",
  revision: 2,
  startedMs: 1000,
  endedMs: null,
  requests: null,
  verdicts: [],
  ...more,
});
const rollout = (more: Partial<StepReport> = {}): StoredRollout => ({
  id: "a",
  deployment: "d",
  state: "running",
  stateReason: "better",
  target: { name: "v2", model: "m", version: "2" },
  champion: "main",
  gates: [],
  onFailure: "abort",
  onDeadline: "pause",
  steps: [step(more)],
  step: 1,
  baseRevision: 1,
  revision: 2,
  startedMs: 1000,
  endedMs: null,
  startedBy: { id: "u", name: "Ada" },
  reason: "better",
  sinceMs: 1000,
  pausedMs: null,
});
const verdict = (state: Verdict["verdict"], signal: Verdict["signal"] = "error_rate"): Verdict => ({
  signal,
  verdict: state,
  limit: 0.1,
  value: null,
  low: null,
  high: null,
  requests: 3,
  championRequests: null,
  sentence: `${signal} says ${state}.`,
});

describe("the deadline of a step", () => {
  it("is its minutes and its wait after its clock began", () => {
    expect(deadlineMs(rollout())).toBe(161_000);
    expect([160_999, 161_000].map((nowMs) => hasWaitedEnough(rollout(), nowMs))).toEqual([false, true]);
  });
  it("is not there where it waits as long as it takes", () => {
    expect(deadlineMs(rollout({ progressDeadlineMs: null }))).toBeNull();
    expect(hasWaitedEnough(rollout({ progressDeadlineMs: null }), Number.MAX_SAFE_INTEGER)).toBe(false);
  });
  it("is a whole number of ms for minutes that are not", () => {
    const odd = rollout({ minutes: 1 / 7 });
    expect(deadlineMs(odd)).toBe(1000 + 8571 + 100_000);
    expect(resumed(paused(odd, "why", 999_999), "on", 1_000_000).sinceMs).toBe(1_000_000 - 8571);
  });
});

describe("a pause", () => {
  const deadlineAfter = (pausedMs: number, resumedMs: number, more: Partial<StepReport> = {}) =>
    deadlineMs(resumed(paused(rollout(more), "why", pausedMs), "on", resumedMs));

  it("moves the deadline on by as long as it lasted", () => {
    expect(deadlineAfter(50_000, 80_000)).toBe(191_000);
    expect(deadlineAfter(160_999, 161_999)).toBe(162_000);
  });
  it("does not move it back when clocks differ", () => {
    expect(deadlineAfter(50_000, 49_000)).toBe(161_000);
  });
  it("gives the whole wait again to a step that was past its deadline", () => {
    expect(deadlineAfter(161_000, 500_000)).toBe(600_000);
  });
});

describe("what a step misses", () => {
  const seen = (requests: number | null, ...verdicts: Verdict[]) => ({ requests, verdicts });

  it("is nothing when its requests are there and no gate waits", () => {
    expect(missingEvidence(step({ minimumRequests: 3 }), seen(3, verdict("pass")))).toBeNull();
    expect(missingEvidence(step(), seen(null))).toBeNull();
  });
  it("says how many came, how many it needs and what each gate waits for", () => {
    const judged = seen(
      3,
      verdict("wait"),
      verdict("pass", "agreement"),
      verdict("wait", "latency_p95_ratio"),
    );
    expect(missingEvidence(step({ minimumRequests: 4 }), judged)).toBe(
      "3 requests came to the new variant. The step needs 4. Gate error_rate: error_rate says wait. " +
        "Gate latency_p95_ratio: latency_p95_ratio says wait.",
    );
  });
  it("speaks of copies where only those are sent", () => {
    expect(missingEvidence(step({ weight: 0, minimumRequests: 4 }), seen(0))).toBe(
      "0 copies came to the new variant. The step needs 4.",
    );
  });
});

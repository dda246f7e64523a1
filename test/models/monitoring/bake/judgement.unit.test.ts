import { describe, expect, it } from "vitest";
import {
  byBadness,
  judgeRevision,
  observationsOf,
  rejudge,
} from "../../../../models/monitoring/bake/judgement.ts";
import { Thresholds } from "../../../../models/monitoring/schemas.ts";
import type { Traffic } from "../../../../models/serving/index.ts";
import { judgeGates } from "../../../../models/serving/rollouts/gates.ts";
import type { Gate } from "../../../../models/serving/rollouts/schemas.ts";
import { emptyTally, type Tally } from "../../../../models/serving/traffic/tally.ts";
import { randomSource } from "../../../support/random.ts";

const thresholds = Thresholds.parse({});
const tally = (requests: number, more: Partial<Tally> = {}): Tally => ({
  ...emptyTally(),
  requests,
  ...more,
});
const traffic = (modelVersion: string, counted: Tally, revision = 2): Traffic => ({
  deployment: "d",
  revision,
  variant: "main",
  modelName: "m",
  modelVersion,
  shadow: false,
  tally: counted,
});

describe("the judgement of a revision", () => {
  it("judges every version that it brought, so that few requests of one hide nothing of another", () => {
    const now = [
      traffic("2", tally(1, { errors: { internal: 1 } })),
      traffic("3", tally(1000, { errors: { internal: 400 } })),
    ];
    const before = [traffic("1", tally(1000), 1)];
    const findings = judgeRevision({ now, before, failed: [] }, thresholds, 50);
    const [worst] = findings.toSorted(byBadness);
    expect(worst).toMatchObject({ version: "3", signal: "error_rate", judgement: { verdict: "fail" } });
    expect(observationsOf(findings)).toMatchObject([
      { signal: "error_rate", value: 0.4, outcome: "bad" },
      { signal: "invalid_output_rate" },
    ]);
  });

  it("holds a version against the one beside it, and against no version that was taken back before", () => {
    const half = { errors: { internal: 500 } };
    const beside = judgeRevision(
      {
        now: [traffic("1", tally(1000, half)), traffic("2", tally(1000, half))],
        before: [traffic("1", tally(1000), 1)],
        failed: [],
      },
      thresholds,
      50,
    );
    expect(beside[0]?.judgement).toMatchObject({
      verdict: "wait",
      sentence: expect.stringMatching(/The version before shows 50 %, which chance does not tell from it\.$/),
    });
    const alone = judgeRevision(
      {
        now: [traffic("3", tally(1000, half), 3)],
        before: [traffic("1", tally(1000), 1), traffic("2", tally(1e6, { errors: { internal: 5e5 } }))],
        failed: [{ model: "m", version: "2" }],
      },
      thresholds,
      50,
    );
    expect(alone[0]?.judgement.verdict).toBe("fail");
  });

  it("leaves out copies, whose answers reached nobody", () => {
    const copies = { ...traffic("2", tally(1000, { errors: { internal: 900 } })), shadow: true };
    expect(judgeRevision({ now: [copies], before: [], failed: [] }, thresholds, 50)).toEqual([]);
  });

  it("judges latency by itself and against the version before", () => {
    const at = (bucket: number) => tally(1000, { latency: { [bucket]: 1000 } });
    const judged = (ours: number, theirs: number) =>
      judgeRevision(
        { now: [traffic("2", at(ours))], before: [traffic("1", at(theirs), 1)], failed: [] },
        { ...thresholds, latencyP95Ms: 500 },
        50,
      ).find(({ signal }) => signal === "latency_p95")?.judgement;
    expect(judged(80, 24)).toMatchObject({ verdict: "fail", value: 1024 });
    expect(judged(80, 80)?.verdict).toBe("wait");
    expect(judged(24, 80)?.verdict).toBe("pass");
  });

  it("gives the verdict of a rollout's gate on the same traffic, and again from its evidence", () => {
    const random = randomSource(11);
    const below = (most: number) => Math.floor(random.uniform() * most);
    const drawn = (): Tally => {
      const requests = below(2000);
      const internal = below(requests * 0.2);
      const invalidCalls = below((requests - internal) * 0.1);
      return tally(requests, {
        errors: {
          internal,
          invalid: invalidCalls,
          run_failed: below((requests - internal - invalidCalls) * 0.05),
        },
        invalid: below((requests - internal - invalidCalls) * 0.04),
      });
    };
    const verdicts = new Set<string>();
    for (let story = 0; story < 500; story++) {
      const [ours, champions] = [drawn(), drawn()];
      const gates: Gate[] = [
        { signal: "error_rate", max: thresholds.errorRate ?? 0, minimumRequests: 100 },
        { signal: "invalid_output_share", max: thresholds.invalidOutputRate ?? 0, minimumRequests: 100 },
      ];
      const byGates = judgeGates(gates, { ours, champions, copies: false });
      const now = [traffic("1", champions), traffic("2", ours)];
      const findings = judgeRevision(
        { now, before: [traffic("1", tally(1), 1)], failed: [] },
        thresholds,
        100,
      );
      expect(findings.map(({ judgement }) => judgement.verdict)).toEqual(
        byGates.map(({ verdict }) => verdict),
      );
      for (const { evidence, judgement } of findings) {
        expect(rejudge(JSON.parse(JSON.stringify(evidence)))).toEqual(judgement);
        verdicts.add(judgement.verdict);
      }
    }
    expect(verdicts).toEqual(new Set(["pass", "wait", "fail"]));
  });
});

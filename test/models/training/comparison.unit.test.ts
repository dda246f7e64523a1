import { describe, expect, it } from "vitest";
import { decide } from "../../../models/training/comparison/decision.ts";
import { pairedDifference } from "../../../models/training/comparison/paired.ts";
import type { Baselines } from "../../../models/training/schemas.ts";
import { randomSource } from "../../support/random.ts";

const differencesOf = (values: readonly (readonly [difference: number, day: number])[]) => {
  const paired = pairedDifference();
  for (const [difference, day] of values) paired.add(difference, day);
  return paired.result();
};

describe("a paired difference", () => {
  it("has the interval of the t-test where rows are all there is", () => {
    // scipy.stats.ttest_1samp([1, 2, 3, 4, 5, 6], 0).confidence_interval() = (1.5366857, 5.4633143)
    const { mean, low, high, method } = differencesOf([1, 2, 3, 4, 5, 6].map((value) => [value, 0]));
    expect(mean).toBe(3.5);
    expect(low).toBeCloseTo(1.5366857, 5);
    expect(high).toBeCloseTo(5.4633143, 5);
    expect(method).toBe("paired by rows");
  });

  it("is as uncertain as its days are few, however many rows each has", () => {
    const days = Array.from({ length: 12 }, (_, day) => (day % 2 === 0 ? 1 : -0.5));
    const oneEach = differencesOf(days.map((difference, day) => [difference, day]));
    const hundredEach = differencesOf(
      days.flatMap((difference, day) => Array.from({ length: 100 }, () => [difference, day] as const)),
    );
    expect(hundredEach.low).toBeCloseTo(oneEach.low, 12);
    expect(hundredEach.high).toBeCloseTo(oneEach.high, 12);
    expect(hundredEach.method).toBe("paired, clustered by 12 days");
    expect(oneEach.low).toBeLessThan(0);
  });

  it.each([
    [2, 0.05],
    [7, 0.05],
    [7, 0.2],
    [10, 0.05],
    [30, 0.05],
  ])(
    "promotes no more than one in forty models of the same quality: %i days that share %d of the noise",
    (days, shared) => {
      const random = randomSource(20_261_127);
      const trials = 2000;
      let better = 0;
      for (let trial = 0; trial < trials; trial++) {
        const rows: [number, number][] = [];
        for (let day = 0; day < days; day++) {
          const ofDay = Math.sqrt(shared) * random.normal();
          for (let row = 0; row < 20; row++)
            rows.push([ofDay + Math.sqrt(1 - shared) * random.normal(), day]);
        }
        if (differencesOf(rows).low > 0) better++;
      }
      // Three standard deviations of what 2.5 % of 2,000 give by chance.
      expect(better / trials).toBeLessThan(0.025 + 3 * Math.sqrt((0.025 * 0.975) / trials));
    },
  );

  it("knows nothing from one row", () => {
    const { low, high } = differencesOf([[0.5, 1]]);
    expect([low, high].every(Number.isFinite)).toBe(true);
    expect(low).toBeLessThan(-1e300);
  });
});

describe("the decision on a new version", () => {
  const policy = { policy: "if-better", alias: "champion", minDelta: 0 } as const;
  const beaten: Baselines = {
    metric: "logLoss",
    model: 0.4,
    baselines: [{ name: "share of 1s", value: 0.5, loss: 0.69 }],
    beaten: true,
  };
  const compared = (low: number, high: number) =>
    ({
      kind: "compared",
      comparison: {
        metric: "logLoss",
        rows: 100,
        champion: 0.5,
        challenger: 0.4,
        delta: (low + high) / 2,
        low,
        high,
        method: "paired by rows",
        seenByChampion: 20,
      },
    }) as const;

  it.each([
    ["first version", policy, null, null, true, /no champion yet/],
    ["first version, never", { ...policy, policy: "never" }, null, null, false, /never/],
    ["better", policy, 3, compared(0.01, 0.02), true, /better.*version 3 on 100 rows/],
    [
      "better by less than asked",
      { ...policy, minDelta: 0.015 },
      3,
      compared(0.01, 0.02),
      false,
      /by more than 0.015/,
    ],
    ["worse", policy, 3, compared(-0.02, -0.01), false, /worse/],
    ["not told apart", policy, 3, compared(-0.01, 0.02), false, /not surely better/],
    ["worse, always", { ...policy, policy: "always" }, 3, compared(-0.02, -0.01), true, /always/],
    ["better, never", { ...policy, policy: "never" }, 3, compared(0.01, 0.02), false, /never/],
    [
      "incomparable",
      policy,
      3,
      { kind: "incomparable", reason: "it predicts something else" },
      false,
      /cannot be compared.*something else/,
    ],
  ] as const)("%s", (_, promotion, champion, result, promoted, reason) => {
    const decision = decide(promotion, champion, result, beaten);
    expect(decision.promoted).toBe(promoted);
    expect(decision.reason).toMatch(reason);
  });

  it("says how many of the rows the champion was trained on", () => {
    const decision = decide(policy, 3, compared(0.01, 0.02), beaten);
    expect(decision.reason).toMatch(/Version 3 was trained on 20 of these 100 rows/);
  });

  it("never makes a model first champion by itself that a constant beats, and says so of any other", () => {
    const worse = { ...beaten, model: 0.7, beaten: false };
    const said = /Log loss 0.7 against 0.69 of the share of 1s \(0.5\): the model does not beat that/;
    const first = decide(policy, null, null, worse);
    expect(first).toMatchObject({ promoted: false, reason: expect.stringMatching(said) });
    const forced = decide({ ...policy, policy: "always" }, null, null, worse);
    expect(forced).toMatchObject({ promoted: true, reason: expect.stringMatching(said) });
    const better = decide(policy, 3, compared(0.01, 0.02), worse);
    expect(better).toMatchObject({ promoted: true, reason: expect.stringMatching(said) });
  });
});

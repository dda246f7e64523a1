import { describe, expect, it } from "vitest";
import { histogramOf } from "../../../quantum/results/histogram.ts";
import {
  expectationOf,
  judge,
  shotsForDistance,
  totalVariationBound,
  uniformExpectation,
  type VerdictOptions,
} from "../../../quantum/results/verdict.ts";
import { randomSource } from "../../support/random.ts";

const options: VerdictOptions = {
  alpha: 0.01,
  comparisons: 1,
  noiseless: true,
  allowedDistance: 0,
  detectDistance: undefined,
};
const counts = (record: Record<string, number>) => histogramOf(Object.entries(record));
const bell = uniformExpectation(["00", "11"]);

describe("the verdict on a histogram", () => {
  it("agrees with a fair sample, with SciPy's p-value", () => {
    const verdict = judge(counts({ "00": 520, "11": 480 }), bell, options);
    expect(verdict.verdict).toBe("consistent");
    // scipy.stats.chisquare([520, 480]): statistic 1.6, p 0.20590321073206466
    expect(verdict.chiSquare?.statistic).toBeCloseTo(1.6, 12);
    expect(verdict.chiSquare?.pValue).toBeCloseTo(0.20590321073206466, 12);
  });

  it("finds a biased sample", () => {
    const verdict = judge(counts({ "00": 600, "11": 400 }), bell, options);
    expect(verdict.verdict).toBe("deviates");
    // scipy.stats.chisquare([600, 400]): statistic 40, p 2.539628589470865e-10
    expect(verdict.chiSquare?.pValue).toBeCloseTo(2.539628589470865e-10, 18);
  });

  it("fails one shot of an impossible outcome on a noiseless simulator, and names it", () => {
    const verdict = judge(counts({ "00": 500, "11": 499, "01": 1 }), bell, options);
    expect(verdict.verdict).toBe("deviates");
    expect(verdict.impossible).toEqual([{ outcome: "01", count: 1 }]);
    expect(verdict.reasons.join(" ")).toContain('"01" (1)');
  });

  it("judges a certain outcome by its support alone", () => {
    const certain = expectationOf({ "101": 1 });
    expect(judge(counts({ "101": 20 }), certain, options)).toMatchObject({
      verdict: "consistent",
      chiSquare: null,
    });
    expect(judge(counts({ "101": 19, "100": 1 }), certain, options).verdict).toBe("deviates");
  });

  it("tests the number of rare outcomes exactly where nearly all shots must be one outcome", () => {
    const nearly = expectationOf({ "0": 0.999, "1": 0.001 });
    expect(judge(counts({ "0": 999, "1": 1 }), nearly, options)).toMatchObject({
      verdict: "consistent",
      chiSquare: null,
    });
    // scipy.stats.binom.sf(5, 1000, 0.001) = 0.000588
    const verdict = judge(counts({ "0": 994, "1": 6 }), nearly, options);
    expect(verdict).toMatchObject({
      verdict: "deviates",
      reasons: [expect.stringContaining("p = 5.88e-4")],
    });
  });

  it("pools small bins until each expects five shots", () => {
    const tail = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`1${index}x`, 0.01]));
    const verdict = judge(counts({ common: 95, "10x": 5 }), expectationOf({ common: 0.9, ...tail }), options);
    expect(verdict.chiSquare?.bins).toBe(3); // two of five rare ones each, and the common one
    expect(verdict.chiSquare?.degreesOfFreedom).toBe(2);
  });

  it("does not judge what too few shots cannot show", () => {
    expect(judge(counts({ "00": 3, "11": 2 }), bell, options).verdict).toBe("inconclusive");
    const careful = { ...options, detectDistance: 0.05 };
    const verdict = judge(counts({ "00": 50, "11": 50 }), bell, careful);
    expect(verdict).toMatchObject({ verdict: "inconclusive", shotsNeeded: shotsForDistance(2, 0.05, 0.01) });
  });

  it("on a noisy target allows the sampling error and the declared distance, and never runs chi-square", () => {
    const noisy = { ...options, noiseless: false };
    const seen = counts({ "00": 4700, "11": 4700, "01": 300, "10": 300 });
    expect(judge(seen, bell, noisy)).toMatchObject({ verdict: "deviates", chiSquare: null });
    expect(judge(seen, bell, { ...noisy, allowedDistance: 0.05 }).verdict).toBe("consistent");
    expect(judge(seen, bell, noisy).totalVariation.distance).toBeCloseTo(0.06, 12);
  });

  it("tests each of several comparisons at its share of alpha", () => {
    const seen = counts({ "00": 543, "11": 457 }); // p = 0.0065
    expect(judge(seen, bell, options).verdict).toBe("deviates");
    expect(judge(seen, bell, { ...options, comparisons: 20 })).toMatchObject({
      verdict: "consistent",
      alpha: 0.0005,
    });
  });

  it("calls fair samples wrong about as often as alpha says", () => {
    const seed = 7;
    const random = randomSource(seed);
    const expected = expectationOf({ a: 0.5, b: 0.3, c: 0.15, d: 0.05 });
    let alarms = 0;
    for (let trial = 0; trial < 2000; trial++) {
      const seen: Record<string, number> = { a: 0, b: 0, c: 0, d: 0 };
      for (let shot = 0; shot < 200; shot++) {
        const u = random.uniform();
        const outcome = u < 0.5 ? "a" : u < 0.8 ? "b" : u < 0.95 ? "c" : "d";
        seen[outcome] = (seen[outcome] ?? 0) + 1;
      }
      if (judge(counts(seen), expected, options).verdict === "deviates") alarms += 1;
    }
    // Binomial(2000, 0.01): 20 expected, 40 is more than four standard deviations above.
    expect(alarms, `seed ${seed}`).toBeLessThan(40);
    expect(alarms, `seed ${seed}`).toBeGreaterThan(4);
  });
});

describe("declared expectations", () => {
  it("may be rounded, and are brought to a sum of 1", () => {
    const thirds = expectationOf({ a: 0.33333, b: 0.33333, c: 0.33333 });
    expect([...thirds.values()].reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 12);
  });

  it.each([
    [{ "00": 0.5, "11": 0.4 }, "sum to 0.9"],
    [{ a: 1.5, b: -0.5 }, "is 1.5"],
    [{ "00": 0.5, "[0, 0]": 0.5 }, 'both names mean "00"'],
  ])("%j is no distribution", (probabilities, message) => {
    expect(() => expectationOf(probabilities)).toThrow(message);
  });

  it("uniform ones name each outcome once", () => {
    expect(() => uniformExpectation(["00", "(Zero, Zero)"])).toThrow("only once");
    expect(uniformExpectation(["0", "1"]).get("1")).toBe(0.5);
  });
});

describe("the bound of the total variation distance", () => {
  it("follows the formula of Bretagnolle, Huber and Carol, and never exceeds 1", () => {
    expect(totalVariationBound(2, 1000, 0.01)).toBeCloseTo(
      Math.sqrt((2 * Math.LN2 + Math.log(100)) / 2000),
      15,
    );
    expect(totalVariationBound(1024, 10, 0.01)).toBe(1);
  });

  it("gives the shots that it needs for a distance", () => {
    const shots = shotsForDistance(4, 0.1, 0.05);
    expect(totalVariationBound(4, shots, 0.05)).toBeLessThanOrEqual(0.1);
    expect(totalVariationBound(4, shots - 1, 0.05)).toBeGreaterThan(0.1);
  });
});

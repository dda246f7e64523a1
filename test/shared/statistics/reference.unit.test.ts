import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  hellinger,
  jensenShannon,
  kullbackLeibler,
  largestDifference,
  populationStability,
  smoothedPopulationStability,
  totalVariation,
} from "../../../shared/statistics/distances/distances.ts";
import { cramerVonMises, mannWhitney } from "../../../shared/statistics/distances/ranks.ts";
import {
  energyDistance,
  wasserstein,
  weightedSample,
} from "../../../shared/statistics/distances/transport.ts";
import { moments } from "../../../shared/statistics/moments.ts";
import { histogram } from "../../../shared/statistics/profiles/histogram.ts";
import { quantiles, sortedFinite } from "../../../shared/statistics/profiles/quantiles.ts";
import { chiSquareIsf, chiSquareSf } from "../../../shared/statistics/significance/chi-square.ts";
import {
  chiSquareContingency,
  chiSquareFit,
  fisherExact,
  freemanTukeyFit,
  gContingency,
  gFit,
  twoProportions,
} from "../../../shared/statistics/significance/contingency.ts";
import { benjaminiHochberg } from "../../../shared/statistics/significance/false-discovery.ts";
import {
  correctedTail,
  kolmogorovIsf,
  kolmogorovSf,
  kolmogorovSmirnov,
} from "../../../shared/statistics/significance/kolmogorov-smirnov.ts";
import { normalIsf, normalSf } from "../../../shared/statistics/significance/normal.ts";

interface Generator {
  n: number;
  mul: number;
  add: number;
  mod: number;
  div: number;
  transform: "none" | "odds" | "cube";
  scale: number;
  shift: number;
}
interface Case {
  id: string;
  fn: string;
  // biome-ignore lint/suspicious/noExplicitAny: each function has arguments of its own, written down in the file
  args: any;
  expect: Record<string, unknown>;
  rtol: number;
  atol: number;
}
const reference: {
  samples: Record<string, { values: number[] } | { generate: Generator }>;
  cases: Case[];
} = JSON.parse(readFileSync(new URL("./reference/stat-reference.json", import.meta.url), "utf8"));

describe("statistics agree with scipy and numpy", () => {
  it("in 122 cases", () => {
    expect(reference.cases).toHaveLength(122);
    expect(new Set(reference.cases.map((each) => each.id)).size).toBe(122);
  });

  it.each(reference.cases)("$id", ({ fn, args, expect: expected, rtol, atol }) => {
    const result = compute(fn, withSamples(args));
    for (const [name, value] of Object.entries(expected)) {
      if (name in result) expectClose(name, result[name], value, rtol, atol);
      else throw new Error(`${fn} gives no ${name}`);
    }
  });
});

describe("the inverse of the Kolmogorov distribution", () => {
  it.each([0.99, 0.5, 0.05, 0.01, 1e-6])("returns to the tail %d", (p) => {
    expect(kolmogorovSf(kolmogorovIsf(p))).toBeCloseTo(p, 12);
  });
});

describe("the exact Kolmogorov-Smirnov law", () => {
  it("keeps its relative accuracy in the far tail", () => {
    // Two disjoint samples of 40: two of the C(80, 40) orders are as extreme.
    const low = Array.from({ length: 40 }, (_, i) => i);
    const { p, method } = kolmogorovSmirnov(
      low,
      low.map((value) => value + 100),
    );
    const orders = Array.from({ length: 40 }, (_, k) => (41 + k) / (k + 1)).reduce((a, b) => a * b, 1);
    expect(method).toBe("exact");
    expect(p / (2 / orders)).toBeCloseTo(1, 10);
  });

  it("meets the corrected limit law where it hands over to it", () => {
    const a = Array.from({ length: 1000 }, (_, i) => i);
    const b = Array.from({ length: 1000 }, (_, i) => i + 40.5);
    const exact = kolmogorovSmirnov(a, b);
    const asymptotic = kolmogorovSmirnov([...a, 1e9], b);
    expect([exact.method, asymptotic.method]).toEqual(["exact", "asymptotic"]);
    expect(Math.abs(exact.p - asymptotic.p)).toBeLessThan(0.02);
  });
});

// biome-ignore lint/suspicious/noExplicitAny: as above
function compute(fn: string, args: any): Record<string, unknown> {
  switch (fn) {
    case "normal_sf":
      return { p: normalSf(args.z) };
    case "normal_isf":
      return { z: normalIsf(args.p) };
    case "chi2_sf":
      return { p: chiSquareSf(args.x, args.df) };
    case "chi2_isf":
      return { x: chiSquareIsf(args.p, args.df) };
    case "kolmogorov_sf":
      return { p: kolmogorovSf(args.x) };
    case "kstwo_sf":
      return { p: correctedTail(args.d, args.n) };
    case "ks_2samp": {
      const { d, p, method } = kolmogorovSmirnov(args.a, args.b);
      return method === "exact" ? { d, pExact: p } : { d, pCorrected: p };
    }
    case "wasserstein_1d":
      return {
        w: wasserstein(weightedSample(args.a, args.aWeights), weightedSample(args.b, args.bWeights)),
      };
    case "wasserstein_1d_over_sd":
      return {
        w: wasserstein(weightedSample(args.ref), weightedSample(args.cur)) / moments(args.ref).sd0,
      };
    case "energy_distance":
      return { e: energyDistance(weightedSample(args.a), weightedSample(args.b)) };
    case "distribution_distances":
      return {
        jsNat: jensenShannon(args.p, args.q, Math.E),
        jsBase2: jensenShannon(args.p, args.q, 2),
        hellinger: hellinger(args.p, args.q),
        tvd: totalVariation(args.p, args.q),
        linf: largestDifference(args.p, args.q),
        klPQ: kullbackLeibler(args.p, args.q),
      };
    case "psi":
      return { psi: populationStability(args.p, args.q) };
    case "psi_smoothed":
      return { psi: smoothedPopulationStability(args.ref, args.cur, args.alpha) };
    case "chi2_contingency":
      return { ...chiSquareContingency(args.table, args.yates) };
    case "g_test":
      return { ...gContingency(args.table) };
    case "chi2_gof":
      return { ...chiSquareFit(args.observed, args.expected) };
    case "freeman_tukey_gof":
      return { ...freemanTukeyFit(args.observed, args.expected) };
    case "g_gof":
      return { ...gFit(args.observed, args.expected) };
    case "two_proportion_z":
      return { ...twoProportions(args.x1, args.n1, args.x2, args.n2) };
    case "fisher_exact":
      return { ...fisherExact(args.table) };
    case "cramer_von_mises_2samp":
      return { ...cramerVonMises(args.a, args.b, args.method) };
    case "mann_whitney_u":
      return { ...mannWhitney(args.a, args.b, args.continuity) };
    case "benjamini_hochberg":
      return { adjusted: benjaminiHochberg(args.p) };
    case "moments":
      return { ...moments(args.a) };
    case "quantiles":
      return { values: quantiles(sortedFinite(args.a), args.q) };
    case "histogram":
      return { counts: histogram(args.values, args.edges) };
    default:
      throw new Error(`The reference file names a function that is not known here: ${fn}.`);
  }
}

/** Replaces names of samples by their values and texts that stand for numbers by these. */
function withSamples(args: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(args).map(([name, value]) => {
      const sample = typeof value === "string" ? reference.samples[value] : undefined;
      if (sample === undefined) return [name, value];
      return [name, "values" in sample ? sample.values : generate(sample.generate)];
    }),
  );
}

function generate({ n, mul, add, mod, div, transform, scale, shift }: Generator): number[] {
  return Array.from({ length: n }, (_, i) => {
    const x = ((i * mul + add) % mod) / div;
    const transformed = transform === "odds" ? x / (1 - x) : transform === "cube" ? x * x * x : x;
    return transformed * scale + shift;
  });
}

function expectClose(name: string, actual: unknown, expected: unknown, rtol: number, atol: number): void {
  if (Array.isArray(expected)) {
    expect(actual).toHaveLength(expected.length);
    expected.forEach((value, i) => {
      expectClose(`${name}[${i}]`, (actual as unknown[])[i], value, rtol, atol);
    });
    return;
  }
  const e = Number(expected);
  const v = Number(actual);
  const close = Object.is(v, e) || v === e || Math.abs(v - e) <= atol + rtol * Math.abs(e);
  expect(close, `${name}: ${v}, expected ${e}`).toBe(true);
}

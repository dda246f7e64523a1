import { describe, expect, it } from "vitest";
import { numericDrift } from "../../../../models/monitoring/drift/numeric-drift.ts";
import { Thresholds } from "../../../../models/monitoring/schemas.ts";
import { wasserstein } from "../../../../shared/statistics/distances/transport.ts";
import {
  addValues,
  buildReferenceProfile,
  emptyWindow,
  mergeWindows,
  storedReference,
} from "../../../../shared/statistics/index.ts";
import { moments } from "../../../../shared/statistics/moments.ts";
import { randomSource } from "../../../support/random.ts";

const random = randomSource(20_260_105);
const draw = (rows: number, value: () => number) => Float64Array.from({ length: rows }, value);

/** The largest difference of the two distribution functions, from all values. */
function exactKolmogorovSmirnov(a: Float64Array, b: Float64Array): number {
  let [i, j, largest] = [0, 0, 0];
  while (i < a.length || j < b.length) {
    const value = Math.min(a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY);
    while (i < a.length && a[i] === value) i++;
    while (j < b.length && b[j] === value) j++;
    largest = Math.max(largest, Math.abs(i / a.length - j / b.length));
  }
  return largest;
}

function byProfile(reference: Float64Array, window: Float64Array, hours: number) {
  const profile = buildReferenceProfile([{ name: "x", kind: "numeric", values: reference }], { seed: 1 });
  const parts = Array.from({ length: hours }, (_, hour) => {
    const part = emptyWindow(profile);
    addValues(part, profile, [{ name: "x", values: window.filter((_value, row) => row % hours === hour) }]);
    return JSON.parse(JSON.stringify(part)) as typeof part;
  });
  const [frozen] = profile.columns;
  const [merged] = mergeWindows(profile, parts).columns;
  if (frozen?.kind !== "numeric" || merged?.kind !== "numeric") throw new Error("expected a numeric column");
  const { metrics } = numericDrift(frozen, merged, Thresholds.parse({}), 1);
  const of = (name: string) => metrics.find(({ metric }) => metric === name)?.value ?? Number.NaN;
  return { kolmogorovSmirnov: of("kolmogorov_smirnov"), wasserstein: of("wasserstein") };
}

const normal = () => random.normal();
const exponential = () => -Math.log(1 - random.uniform());
const cauchy = () => Math.tan(Math.PI * (random.uniform() - 0.5));
const twoPeaks = () => (random.uniform() < 0.3 ? random.normal() - 4 : random.normal() * 0.1 + 4);
const pareto = () => (1 - random.uniform()) ** (-1 / 1.5);
const integers = () => Math.floor(exponential() * 40);
const halfTies = () => (random.uniform() < 0.5 ? 7 : 7 + random.normal());
const timestamps = () => 1_767_600_000_000 + random.uniform() * 1e9;

/** Drawn from another stretch of the same, or shifted, or stretched. */
const shapes: [name: string, reference: () => number, window: () => number][] = [
  ["normal, shifted by a tenth", normal, () => normal() + 0.1],
  ["normal, not shifted", normal, normal],
  ["normal, wider", normal, () => normal() * 1.3],
  ["exponential, not shifted", exponential, exponential],
  ["exponential, longer", exponential, () => exponential() * 1.2],
  ["Cauchy, shifted", cauchy, () => cauchy() + 0.5],
  ["Pareto of index 1.5, not shifted", pareto, pareto],
  ["Pareto of index 1.5, larger", pareto, () => pareto() * 1.1],
  ["of two peaks, one moved", twoPeaks, () => twoPeaks() + (random.uniform() < 0.5 ? 0.2 : 0)],
  ["integers, more zeros", integers, () => (random.uniform() < 0.1 ? 0 : integers())],
  ["half of it one value, which moves by a hair", halfTies, () => halfTies() + 1e-9],
  [
    "half of it one value, which is less frequent",
    halfTies,
    () => (random.uniform() < 0.4 ? 7 : 7 + normal()),
  ],
  ["moments in milliseconds, some later", timestamps, () => timestamps() + 2e8 * random.uniform()],
  ["far from where it was", normal, () => normal() + 50],
  ["all in one bin of the reference", normal, () => 0.01 + random.uniform() * 1e-4],
];

describe("distances from merged profiles", () => {
  it.each(shapes)("are within their bounds of those from all values: %s", (_name, ofReference, ofWindow) => {
    for (const [n, m] of [
      [100_000, 100_000],
      [20_000, 300],
      [300, 20_000],
      [200, 200],
    ] as const) {
      const [reference, window] = [draw(n, ofReference), draw(m, ofWindow)];
      const found = byProfile(reference, window, 24);
      const [a, b] = [Float64Array.from(reference).sort(), Float64Array.from(window).sort()];
      const difference = Math.abs(found.kolmogorovSmirnov - exactKolmogorovSmirnov(a, b));
      expect(difference, `Kolmogorov-Smirnov, ${n} and ${m}`).toBeLessThan(0.002);
      const exact = wasserstein({ sorted: a }, { sorted: b }) / moments(a).sd0;
      const bound = Math.max(0.002, 0.02 * exact);
      expect(Math.abs(found.wasserstein - exact), `Wasserstein ${exact}, ${n} and ${m}`).toBeLessThan(bound);
    }
  });
});

describe("a reference of the first form", () => {
  it("is refined from its sample, and keeps its counts of rows", () => {
    const values = draw(30_000, normal);
    const made = buildReferenceProfile([{ name: "x", kind: "numeric", values }], { seed: 1 });
    const columns = made.columns.map((column) => {
      if (column.kind !== "numeric") return column;
      const { offsets: _, ...rest } = column;
      return { ...rest, edges: [-5, 5], counts: [30_000] };
    });
    const [column] =
      storedReference(JSON.parse(JSON.stringify({ ...made, version: 1, columns })))?.columns ?? [];
    if (column?.kind !== "numeric") throw new Error("expected a numeric column");
    expect(column.counts.reduce((sum, count) => sum + count, 0)).toBeCloseTo(30_000, 6);
    expect(column.edges.length).toBeGreaterThan(500);
    expect(storedReference({ version: 3 })).toBeNull();
  });
});

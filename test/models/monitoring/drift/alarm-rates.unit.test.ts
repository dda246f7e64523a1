import { describe, expect, it } from "vitest";
import { judgeDrift } from "../../../../models/monitoring/drift/drift.ts";
import type { ColumnResult } from "../../../../models/monitoring/schemas.ts";
import { buildReferenceProfile } from "../../../../shared/statistics/index.ts";
import { type RandomSource, randomSource } from "../../../support/random.ts";
import { defaultThresholds, windowOf } from "../windows.ts";

/**
 * Normal data against a reference of 10,000 rows: how often a window alarms, by each rule that others use and by the
 * verdict. The first three are why the verdict asks for an effect and for more than chance.
 */
const random = randomSource(20_010_101);
const normals = (count: number, shift: number, source: RandomSource) =>
  Array.from({ length: count }, () => source.normal() + shift);
const reference = buildReferenceProfile(
  [{ name: "x", kind: "numeric", values: normals(10_000, 0, random) }],
  {
    seed: 1,
  },
);

function alarmShares(shift: number, rows: number, windows: number) {
  const found = { p05: 0, wasserstein: 0, jensenShannon: 0, verdict: 0 };
  for (let i = 0; i < windows; i++) {
    const window = windowOf(reference, { x: normals(rows, shift, random) });
    const rules = { thresholds: defaultThresholds, minimumRows: 30, columns: null };
    const column = judgeDrift(reference, window, rules).columns[0]!;
    if ((column.p ?? 1) < 0.05) found.p05++;
    if (value(column, "wasserstein") >= 0.1) found.wasserstein++;
    if (value(column, "jensen_shannon") >= 0.1) found.jensenShannon++;
    if (column.verdict === "drift") found.verdict++;
  }
  return Object.fromEntries(Object.entries(found).map(([rule, count]) => [rule, count / windows]));
}

function value(column: ColumnResult, metric: string): number {
  return column.metrics.find((each) => each.metric === metric)?.value ?? Number.NaN;
}

describe("without drift", () => {
  it("distances alone alarm on small windows and not on large ones", () => {
    const small = alarmShares(0, 30, 100);
    const large = alarmShares(0, 1000, 60);
    expect(small.wasserstein).toBeGreaterThan(0.9);
    expect(small.jensenShannon).toBeGreaterThan(0.9);
    expect(large.wasserstein).toBeLessThan(0.1);
    expect(large.jensenShannon).toBeLessThan(0.05);
  });

  // Each floor is passed by one window in a hundred, and a column has four; with very few rows the chi-square law that
  // three of them rest on is only nearly right.
  it.each([
    { rows: 30, windows: 200, most: 0.12 },
    { rows: 100, windows: 200, most: 0.06 },
    { rows: 300, windows: 200, most: 0.03 },
    { rows: 1000, windows: 100, most: 0.02 },
    { rows: 5000, windows: 30, most: 0 },
  ])("the verdict is drift on at most $most of windows of $rows rows", ({ rows, windows, most }) => {
    expect(alarmShares(0, rows, windows).verdict).toBeLessThanOrEqual(most);
  });
});

describe("with drift", () => {
  it("a p-value alone alarms on every large window, for an effect that does not matter", () => {
    const shares = alarmShares(0.1, 5000, 30);
    expect(shares.p05).toBe(1);
    expect(shares.verdict).toBe(0);
  });

  it("of .3 standard deviations the verdict finds most windows of 1000 rows and all of 5000", () => {
    expect(alarmShares(0.3, 1000, 60).verdict).toBeGreaterThan(0.8);
    expect(alarmShares(0.3, 5000, 20).verdict).toBe(1);
  });

  it("of one standard deviation the verdict finds every window of 300 rows", () => {
    expect(alarmShares(1, 300, 60).verdict).toBe(1);
  });
});

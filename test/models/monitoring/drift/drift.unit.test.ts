import { describe, expect, it } from "vitest";
import { judgeDrift } from "../../../../models/monitoring/drift/drift.ts";
import type { ColumnResult, DriftReport } from "../../../../models/monitoring/schemas.ts";
import { buildReferenceProfile, type ProfileColumn } from "../../../../shared/statistics/index.ts";
import { randomSource } from "../../../support/random.ts";
import { defaultThresholds, windowOf } from "../windows.ts";

const rules = { thresholds: defaultThresholds, minimumRows: 300, columns: null };

/** Judges one column against a reference column. */
function judge(column: ProfileColumn, values: readonly unknown[], minimumRows = 300): DriftReport {
  const reference = buildReferenceProfile([column], { seed: 1 });
  return judgeDrift(reference, windowOf(reference, { [column.name]: values }), { ...rules, minimumRows });
}
function only(report: DriftReport): ColumnResult {
  expect(report.columns).toHaveLength(1);
  return report.columns[0]!;
}
const normals = (count: number, seed: number, shift = 0) => {
  const random = randomSource(seed);
  return Array.from({ length: count }, () => random.normal() + shift);
};
const levels = (count: number, seed: number, weights: Record<string, number>) => {
  const random = randomSource(seed);
  return Array.from({ length: count }, () => {
    let left = random.uniform();
    for (const [level, weight] of Object.entries(weights)) {
      left -= weight;
      if (left < 0) return level;
    }
    return Object.keys(weights).at(-1)!;
  });
};

describe("a numeric column", () => {
  const reference: ProfileColumn = { name: "x", kind: "numeric", values: normals(10_000, 1) };

  it("is ok when it comes from the reference's distribution", () => {
    const column = only(judge(reference, normals(1000, 2)));
    expect(column.verdict).toBe("ok");
    expect(column.p).toBeGreaterThan(0.01);
  });

  it("drifts when its mean moves by half a standard deviation, and says which way", () => {
    const report = judge(reference, normals(1000, 3, -0.5));
    const column = only(report);
    expect(report.verdict).toBe("drift");
    expect(column.verdict).toBe("drift");
    expect(column.severity).toBeGreaterThan(1.5);
    expect(column.shift?.inSd).toBeCloseTo(-0.5, 1);
    expect(column.p).toBeLessThan(1e-20);
  });

  it("drifts when only its spread changes", () => {
    expect(
      only(
        judge(
          reference,
          normals(3000, 4).map((value) => value * 2),
        ),
      ).verdict,
    ).toBe("drift");
  });

  it("does not drift for an effect too small to matter, however small its p-value", () => {
    const column = only(judge(reference, normals(100_000, 5, 0.05)));
    expect(column.p).toBeLessThan(1e-4);
    expect(column.verdict).toBe("ok");
  });

  it("does not drift for an effect that chance explains at so few rows", () => {
    const few = only(judge(reference, normals(30, 7), 10));
    expect(few.metrics.some((metric) => metric.value >= (metric.threshold ?? 1))).toBe(true);
    expect(few.verdict).toBe("ok");
    expect(few.reason).toContain("chance");
  });

  it("is inconclusive below the minimum of rows", () => {
    const report = judge(reference, normals(299, 8, 3));
    expect(report.verdict).toBe("inconclusive");
    expect(only(report).reason).toBe("299 rows with a value; 300 are needed.");
  });

  it("names bins, base and unit with each number", () => {
    const { metrics } = only(judge(reference, normals(1000, 2)));
    expect(metrics.map(({ metric, bins, base, unit }) => ({ metric, bins, base, unit }))).toEqual([
      { metric: "kolmogorov_smirnov", bins: expect.any(Number), base: undefined, unit: undefined },
      { metric: "jensen_shannon", bins: 10, base: 2, unit: undefined },
      { metric: "psi", bins: 10, base: undefined, unit: undefined },
      { metric: "wasserstein", bins: undefined, base: undefined, unit: "sd" },
    ]);
  });

  it("gives the same report for the same window", () => {
    const values = normals(1000, 9, 0.3);
    expect(judge(reference, values)).toEqual(judge(reference, values));
  });

  it("counts values outside of the reference's range as a violation", () => {
    const values = normals(1000, 10).map((value, i) => (i % 20 === 0 ? 100 : value));
    const [finding] = only(judge(reference, values)).quality;
    expect(finding).toMatchObject({ check: "out_of_range", share: 0.05, referenceShare: 0 });
  });
});

describe("a categorical column", () => {
  const weights = { a: 0.5, b: 0.3, c: 0.2 };
  const reference: ProfileColumn = { name: "c", kind: "categorical", values: levels(5000, 1, weights) };

  it("is ok when its levels keep their shares", () => {
    expect(only(judge(reference, levels(1000, 2, weights))).verdict).toBe("ok");
  });

  it("drifts when its levels change their shares", () => {
    const column = only(judge(reference, levels(1000, 2, { a: 0.3, b: 0.3, c: 0.4 })));
    expect(column).toMatchObject({ kind: "categorical", verdict: "drift", test: "chi_square" });
    expect(column.p).toBeLessThan(1e-10);
  });

  it("shows unseen levels as a violation with examples, and keeps the test finite", () => {
    const column = only(judge(reference, [...levels(900, 3, weights), ...new Array(100).fill("new")]));
    expect(column.quality[0]).toMatchObject({ check: "unseen", share: 0.1 });
    expect(column.quality[0]?.message).toContain('"new"');
    expect(column.unseenLevels).toEqual([{ value: "new", count: 100 }]);
    expect(column.p).toBeGreaterThanOrEqual(0);
  });

  it("does not call a level new that the reference may have pooled", () => {
    const pooled = buildReferenceProfile([reference], { seed: 1, topLevels: 2 });
    const report = judgeDrift(pooled, windowOf(pooled, { c: levels(1000, 4, weights) }), rules);
    expect(only(report)).toMatchObject({ verdict: "ok", quality: [] });
  });

  it("is inconclusive when it is an identifier", () => {
    const ids: ProfileColumn = {
      name: "c",
      kind: "categorical",
      values: Array.from({ length: 2000 }, (_, i) => `id ${i}`),
    };
    const column = only(
      judge(
        ids,
        Array.from({ length: 1000 }, (_, i) => `other ${i}`),
      ),
    );
    expect(column.verdict).toBe("inconclusive");
    expect(column.reason).toContain("identifier");
  });

  it("uses Fisher's test for two levels with few counts", () => {
    const few: ProfileColumn = {
      name: "c",
      kind: "categorical",
      values: levels(300, 5, { a: 0.999, b: 0.001 }),
    };
    expect(only(judge(few, levels(300, 6, { a: 0.99, b: 0.01 }))).test).toBe("fisher");
  });
});

describe("a number with few values", () => {
  it("is compared value by value", () => {
    const flags: ProfileColumn = {
      name: "x",
      kind: "numeric",
      values: levels(2000, 1, { 0: 0.9, 1: 0.1 }).map(Number),
    };
    const same = only(judge(flags, levels(1000, 2, { 0: 0.9, 1: 0.1 }).map(Number)));
    const other = only(judge(flags, levels(1000, 3, { 0: 0.6, 1: 0.4 }).map(Number)));
    expect(same).toMatchObject({ kind: "discrete", verdict: "ok" });
    expect(other).toMatchObject({ kind: "discrete", verdict: "drift", test: "chi_square" });
  });

  it("that was constant and changes has the largest distance, and its transport in the values' own unit", () => {
    const constant: ProfileColumn = { name: "x", kind: "numeric", values: new Array(1000).fill(5) };
    const column = only(judge(constant, new Array(500).fill(7)));
    expect(column.verdict).toBe("drift");
    expect(column.metrics[0]?.value).toBeCloseTo(1, 10);
    expect(column.metrics[2]).toMatchObject({
      metric: "wasserstein",
      value: 2,
      unit: "raw",
      threshold: null,
    });
    expect(only(judge(constant, new Array(500).fill(5))).verdict).toBe("ok");
  });
});

describe("hostile columns", () => {
  const hostile: [string, unknown[]][] = [
    ["nothing", []],
    ["nothing but nulls", new Array(400).fill(null)],
    ["one value", [1]],
    ["a constant", new Array(400).fill(2)],
    ["NaN", new Array(400).fill(Number.NaN)],
    ["infinities", new Array(400).fill(Number.NEGATIVE_INFINITY)],
    ["the largest doubles", Array.from({ length: 400 }, (_, i) => (i % 2 ? 1 : -1) * Number.MAX_VALUE)],
    ["texts", new Array(400).fill("text")],
    ["objects", new Array(400).fill({})],
  ];
  const references: ProfileColumn[] = [
    { name: "x", kind: "numeric", values: [] },
    { name: "x", kind: "numeric", values: [null, Number.NaN] },
    { name: "x", kind: "numeric", values: [1] },
    { name: "x", kind: "numeric", values: [-Number.MAX_VALUE, Number.MAX_VALUE] },
    { name: "x", kind: "numeric", values: normals(1000, 1) },
    { name: "x", kind: "numeric", values: normals(1000, 1).map((value) => value * 1e307) },
    { name: "x", kind: "categorical", values: [] },
    { name: "x", kind: "categorical", values: ["a", null] },
  ];

  it.each(hostile)(
    "%s: give a verdict, numbers that JSON can hold, and spare the column beside",
    (_, values) => {
      for (const column of references) {
        const good: ProfileColumn = { name: "good", kind: "numeric", values: normals(5000, 1) };
        const reference = JSON.parse(JSON.stringify(buildReferenceProfile([column, good], { seed: 1 })));
        const window = JSON.parse(
          JSON.stringify(windowOf(reference, { x: values, good: normals(1000, 2, 1) })),
        );
        const report = judgeDrift(reference, window, rules);
        expect(JSON.parse(JSON.stringify(report))).toEqual(report);
        expect(report.columns[0]?.reason).not.toContain("could not be judged");
        expect(report.columns[1]?.verdict).toBe("drift");
      }
    },
  );

  it("that have no values at all are a violation of quality, not a drift", () => {
    const report = judge({ name: "x", kind: "numeric", values: normals(1000, 1) }, new Array(400).fill(null));
    expect(report.verdict).toBe("no_data");
    expect(only(report).quality.map((finding) => finding.check)).toEqual(["empty", "missing"]);
  });

  it("of another type are a violation", () => {
    const values = [...normals(900, 1), ...new Array(100).fill("12,5")];
    expect(
      only(judge({ name: "x", kind: "numeric", values: normals(1000, 1) }, values)).quality[0],
    ).toMatchObject({
      check: "type",
      share: 0.1,
    });
  });

  it("that the reference does not have are no_data", () => {
    const reference = buildReferenceProfile([{ name: "x", kind: "numeric", values: normals(1000, 1) }], {
      seed: 1,
    });
    const report = judgeDrift(reference, windowOf(reference, { x: normals(1000, 2) }), {
      ...rules,
      columns: ["x", "y"],
    });
    expect(report.columns.map((column) => column.verdict)).toEqual(["ok", "no_data"]);
    expect(report.verdict).toBe("ok");
  });
});

describe("the data set's verdict", () => {
  const names = Array.from({ length: 10 }, (_, i) => `x${i}`);
  const reference = buildReferenceProfile(
    [
      ...names.map((name, i): ProfileColumn => ({ name, kind: "numeric", values: normals(5000, i + 1) })),
      { name: "output:score", kind: "numeric", values: normals(5000, 99) },
    ],
    { seed: 1 },
  );
  const reportWith = (drifted: number, output = 0) =>
    judgeDrift(
      reference,
      windowOf(reference, {
        ...Object.fromEntries(names.map((name, i) => [name, normals(1000, i + 50, i < drifted ? 1 : 0)])),
        "output:score": normals(1000, 77, output),
      }),
      rules,
    );

  it("is drift from a share of the input columns on", () => {
    expect([0, 1, 2, 3].map((drifted) => reportWith(drifted).verdict)).toEqual([
      "ok",
      "ok",
      "drift",
      "drift",
    ]);
  });

  it("keeps predictions apart from inputs", () => {
    const report = reportWith(0, 1);
    expect(report).toMatchObject({
      verdict: "ok",
      predictionVerdict: "drift",
      driftedColumns: ["output:score"],
    });
  });

  it("adjusts p-values over the columns", () => {
    for (const { p, adjustedP } of reportWith(2).columns) {
      expect(adjustedP).toBeGreaterThanOrEqual((p ?? 1) * (1 - 1e-12));
    }
  });
});

import { describe, expect, it } from "vitest";
import {
  addValues,
  buildReferenceProfile,
  emptyWindow,
  finiteCount,
  mergeWindows,
  type NumericReference,
  type ProfileColumn,
  type WindowProfile,
} from "../../../shared/statistics/index.ts";
import { randomSource } from "../../support/random.ts";

const seeds = Array.from({ length: 25 }, (_, seed) => seed + 1);

describe("a reference profile", () => {
  it("counts every row exactly once", () => {
    const reference = buildReferenceProfile(
      [
        { name: "x", kind: "numeric", values: [1, null, Number.NaN, 2, Number.POSITIVE_INFINITY, 3] },
        { name: "c", kind: "categorical", values: ["a", "b", "a", null, "c", "a"] },
      ],
      { seed: 1, topLevels: 2 },
    );
    expect(reference.columns).toEqual([
      expect.objectContaining({
        count: 6,
        nulls: 1,
        nan: 1,
        posInf: 1,
        negInf: 0,
        mean: 2,
        min: 1,
        max: 3,
        distinct: [1, 2, 3].map((value) => ({ value, count: 1 })),
        sample: [1, 2, 3],
      }),
      {
        kind: "categorical",
        name: "c",
        count: 6,
        nulls: 1,
        levels: [
          { value: "a", count: 3 },
          { value: "b", count: 1 },
        ],
        other: 1,
        distinctLevels: 3,
      },
    ]);
  });

  it("has no more than its share of rows in any bin of a continuous column", () => {
    const { column } = normalReference(10_000, 7);
    // 512 quantiles, finer ones in both tails, and parts of wide gaps.
    expect(column.edges.length).toBeGreaterThanOrEqual(513);
    expect(column.edges.length).toBeLessThanOrEqual(1024);
    expect(Math.max(...column.counts)).toBeLessThanOrEqual(20);
  });

  it("gives a value that fills several bins a bin of its own", () => {
    const values = Array.from({ length: 1000 }, (_, i) => (i < 600 ? 0 : i));
    const column = numeric(buildReferenceProfile([{ name: "x", kind: "numeric", values }], { seed: 1 }));
    expect(column.edges.slice(0, 2)).toEqual([0, Number.MIN_VALUE]);
    expect(column.counts[1]).toBe(0);
    expect(column.counts[0]).toBe(600);
    expect(column.counts.reduce((sum, count) => sum + count, 0)).toBe(1000);
  });

  it("is the same for the same seed, survives JSON, and samples other rows for another seed", () => {
    const first = normalReference(20_000, 3, 1);
    const again = normalReference(20_000, 3, 1);
    const other = normalReference(20_000, 3, 2);
    expect(JSON.parse(JSON.stringify(first.reference))).toEqual(again.reference);
    expect(first.column.sample).toHaveLength(10_000);
    expect(other.column.sample).not.toEqual(first.column.sample);
    expect(other.reference.fingerprint).toBe(first.reference.fingerprint);
  });

  it("samples without favour: the sample's mean is that of the column", () => {
    const { column } = normalReference(50_000, 11);
    const mean = column.sample.reduce((sum, value) => sum + value, 0) / column.sample.length;
    expect(Math.abs(mean - (column.mean ?? 0))).toBeLessThan(3 / Math.sqrt(10_000));
  });

  it("has another fingerprint when an edge or a level differs", () => {
    const of = (values: (string | null)[]) =>
      buildReferenceProfile([{ name: "c", kind: "categorical", values }], { seed: 1 }).fingerprint;
    expect(of(["a", "b"])).not.toBe(of(["a", "c"]));
    expect(of(["a", "b", "b"])).not.toBe(of(["a", "b", "a"])); // the order of the levels is frozen too
  });
});

describe("window profiles", () => {
  it.each(seeds)("merge to the same whatever the order and the grouping (seed %d)", (seed) => {
    const { reference, parts } = randomParts(seed);
    const whole = mergeWindows(reference, parts);
    const [first, ...rest] = parts as [WindowProfile, ...WindowProfile[]];
    const rightToLeft = mergeWindows(reference, [first, mergeWindows(reference, rest)]);
    const reversed = mergeWindows(reference, parts.toReversed());
    expect(exactPart(rightToLeft)).toEqual(exactPart(whole));
    expect(exactPart(reversed)).toEqual(exactPart(whole));
    expectSameMoments(rightToLeft, whole);
    expectSameMoments(reversed, whole);
  });

  it.each(seeds)("merge to what counting all rows at once gives, through JSON (seed %d)", (seed) => {
    const { reference, parts, rows } = randomParts(seed);
    const whole = emptyWindow(reference);
    addRows(whole, reference, rows);
    const merged = mergeWindows(reference, JSON.parse(JSON.stringify(parts)));
    expect(exactPart(merged)).toEqual(exactPart(whole));
    expectSameMoments(merged, whole);
  });

  it("leave the parts as they were", () => {
    const { reference, parts } = randomParts(5);
    const before = JSON.stringify(parts);
    mergeWindows(reference, parts);
    expect(JSON.stringify(parts)).toBe(before);
  });

  it("put each finite value into one bin, below or above", () => {
    const { reference, parts } = randomParts(9);
    for (const column of mergeWindows(reference, parts).columns) {
      if (column.kind !== "numeric") continue;
      const binned = column.counts.reduce((sum, count) => sum + count, 0);
      expect(binned + column.under + column.over).toBe(finiteCount(column));
    }
  });

  it("refuse to mix with those of another reference", () => {
    const { reference, parts } = randomParts(1);
    const other = randomParts(2).reference;
    expect(() => mergeWindows(other, parts)).toThrow(/another|against the reference/);
    expect(() => addValues(emptyWindow(reference), other, [])).toThrow(/against the reference/);
  });

  it("take an empty text for a missing value, unless the reference has it as a level", () => {
    const nullsAgainst = (levels: string[]) => {
      const column: ProfileColumn = { name: "c", kind: "categorical", values: levels };
      const reference = buildReferenceProfile([column], { seed: 1 });
      const window = emptyWindow(reference);
      addValues(window, reference, [{ name: "c", values: ["", "a", ""] }]);
      return window.columns[0]?.nulls;
    };
    expect(nullsAgainst(["a"])).toBe(2);
    expect(nullsAgainst(["a", ""])).toBe(0);
  });

  it("keep exact counts of the unlisted levels that they show", () => {
    const reference = buildReferenceProfile([{ name: "c", kind: "categorical", values: ["a"] }], { seed: 1 });
    const parts = Array.from({ length: 5 }, (_, part) => {
      const window = emptyWindow(reference);
      const values = Array.from({ length: 200 }, (_, i) => `new ${(i * (part + 1)) % 60}`);
      addValues(window, reference, [{ name: "c", values }]);
      return { window, values };
    });
    const [merged] = mergeWindows(
      reference,
      parts.map((part) => part.window),
    ).columns;
    if (merged?.kind !== "categorical") throw new Error("expected a categorical column");
    const all = parts.flatMap((part) => part.values);
    expect(merged.unlisted).toBe(1000);
    expect(merged.unlistedLevels).toHaveLength(20);
    for (const { value, count } of merged.unlistedLevels) {
      expect(count).toBe(all.filter((each) => each === value).length);
    }
  });
});

describe("hostile columns", () => {
  const hostile: [string, unknown[]][] = [
    ["no rows", []],
    ["nothing but nulls", [null, null, undefined]],
    ["one value", [5]],
    ["a constant", [2, 2, 2]],
    ["NaN and infinities", [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ["the largest doubles", [Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, -0]],
    ["texts", ["a", "", "\u0000", "ü".repeat(10_000), "__proto__"]],
    ["objects", [{}, [], new Date(0), Symbol("s"), () => 1]],
    ["bigints and truth values", [1n, true, false]],
  ];
  const numericReferences = [
    [],
    [null],
    [1],
    [1, 1],
    [Number.NaN],
    [Number.MAX_VALUE, -Number.MAX_VALUE],
    [0, 1, 2, 3],
  ];
  const levelReferences = [[], [null], ["a"], ["a", "b", null]];

  it.each(hostile)("%s: every row is counted and nothing throws", (_, values) => {
    const references = [
      ...numericReferences.map((list): ProfileColumn => ({ name: "x", kind: "numeric", values: list })),
      ...levelReferences.map((list): ProfileColumn => ({ name: "x", kind: "categorical", values: list })),
    ];
    for (const column of references) {
      const reference = buildReferenceProfile([column], { seed: 1 });
      const window = emptyWindow(reference);
      addValues(window, reference, [{ name: "x", values }]);
      const again = JSON.parse(JSON.stringify(window));
      const [merged] = mergeWindows(reference, [again, window]).columns;
      expect(merged?.count).toBe(2 * values.length);
      if (merged?.kind === "categorical") {
        const listed = merged.counts.reduce((sum, count) => sum + count, 0);
        expect(merged.nulls + merged.mistyped + merged.unlisted + listed).toBe(merged.count);
      }
    }
  });
});

function normalReference(rows: number, dataSeed: number, seed = 1) {
  const random = randomSource(dataSeed);
  const values = Float64Array.from({ length: rows }, () => random.normal());
  const reference = buildReferenceProfile([{ name: "x", kind: "numeric", values }], { seed });
  return { reference, column: numeric(reference) };
}

function numeric(reference: ReturnType<typeof buildReferenceProfile>): NumericReference {
  const [column] = reference.columns;
  if (column?.kind !== "numeric") throw new Error("expected a numeric column");
  return column;
}

interface Row {
  x: unknown;
  d: unknown;
  c: unknown;
}

/** A reference of three columns, and rows of a window with some of everything, cut into parts at random. */
function randomParts(seed: number) {
  const random = randomSource(seed);
  const pick = <Value>(values: readonly Value[]) => values[Math.floor(random.uniform() * values.length)]!;
  const reference = buildReferenceProfile(
    [
      { name: "x", kind: "numeric", values: Array.from({ length: 500 }, () => random.normal()) },
      { name: "d", kind: "numeric", values: Array.from({ length: 500 }, () => pick([0, 1, 2])) },
      { name: "c", kind: "categorical", values: Array.from({ length: 500 }, () => pick(["a", "b", null])) },
    ],
    { seed },
  );
  const rows: Row[] = Array.from({ length: 300 }, () => ({
    x: pick([random.normal() * 3, random.normal(), null, Number.NaN, Number.POSITIVE_INFINITY, "text"]),
    d: pick([0, 1, 2, 3, null]),
    c: pick(["a", "b", `level ${Math.floor(random.uniform() * 50)}`, null]),
  }));
  const parts: WindowProfile[] = [];
  for (let start = 0; start < rows.length; ) {
    const end = start + 1 + Math.floor(random.uniform() * 90);
    const window = emptyWindow(reference);
    addRows(window, reference, rows.slice(start, end));
    parts.push(window);
    start = end;
  }
  return { reference, parts, rows };
}

function addRows(
  window: WindowProfile,
  reference: ReturnType<typeof buildReferenceProfile>,
  rows: Row[],
): void {
  addValues(
    window,
    reference,
    (["x", "d", "c"] as const).map((name) => ({ name, values: rows.map((row) => row[name]) })),
  );
}

/** All but sums of numbers, which are equal up to rounding only. */
function exactPart(window: WindowProfile) {
  const inexact = { mean: 0, m2: 0, offsets: [], underOffset: 0, overOffset: 0 };
  return window.columns.map((column) => (column.kind === "numeric" ? { ...column, ...inexact } : column));
}

function expectSameMoments(actual: WindowProfile, expected: WindowProfile): void {
  actual.columns.forEach((column, i) => {
    const other = expected.columns[i];
    if (column.kind !== "numeric" || other?.kind !== "numeric") return;
    expect(column.mean).toBeCloseTo(other.mean ?? Number.NaN, 10);
    expect(column.m2).toBeCloseTo(other.m2 ?? Number.NaN, 8);
    expect(column.underOffset).toBeCloseTo(other.underOffset, 10);
    expect(column.overOffset).toBeCloseTo(other.overOffset, 10);
    column.offsets.forEach((offset, bin) => {
      expect(offset).toBeCloseTo(other.offsets[bin] ?? Number.NaN, 10);
    });
  });
}

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import profileFile, { type ProfileResult } from "../../../../models/datasets/profiling/profile.worker.ts";
import type { ReadOptions } from "../../../../models/datasets/schemas.ts";
import { inScratchDirectory } from "../../../../shared/scratch/index.ts";
import { flightsFile } from "../../../support/flights.ts";

function read(
  format: "csv" | "jsonl" | "parquet",
  content: string | Uint8Array,
  options: ReadOptions = {},
): Promise<ProfileResult> {
  return inScratchDirectory(async (scratchDirectory) => {
    const file = path.join(scratchDirectory, "upload");
    await writeFile(file, content);
    return await profileFile(
      { source: { file, format, options, maxBytes: 10_000_000 }, expectations: [], scratchDirectory },
      () => {},
    );
  });
}

const typesOf = (result: ProfileResult) =>
  Object.fromEntries(result.columns.map(({ name, type }) => [name, type]));

describe("a CSV file", () => {
  it.each([
    ["a row of too many fields", "a,b\n1,2\n3,4,5\n", /line 3: it has 3 fields, but the header has 2/],
    ["a row of too few fields", 'a,b\n1,"x\ny"\n\n3\n4,5\n', /line 5: it has 1 field, but the header has 2/],
    ["a delimiter at the end", "a,b\n1,2\n3,4,\n", /line 3: it has 3 fields/],
    ["a quote that never ends", 'a,b\n1,"x\n2,3\n', /line 2: a quote is opened/],
    ["a quote inside a field", 'a,b\n1,5" pipe\n', /line 2: field 2 has a quote inside/],
    ["text after a closing quote", 'a,b\n1,"5"pipe\n', /line 2: field 2 has a quote inside/],
    [
      "a first line that names no columns, as scikit-learn's breast_cancer.csv has",
      `569,30,malignant,benign\n${"17.99,".repeat(30)}0\n${"20.57,".repeat(30)}0\n`,
      /its first line has 4 fields, but line 2 has 31, .* Put a line of 31 names in its place/,
    ],
    ["objects, one a line", '{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n', /line 1: field 1 has a quote inside/],
    ["bytes that are not text", Uint8Array.of(0, 1, 2, 3, 255, 10, 7), /not text/],
    ["two columns of one name", "a,b,A\n1,2,3\n", /two columns are named "A"/],
    ["a column without a name", "a,,b\n1,2,3\n", /column 2 has no name/],
  ])("with %s is refused with the place", async (_, content, message) => {
    await expect(read("csv", content)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(message),
    });
  });

  it("takes each type from all rows, so that a late value does not break it", async () => {
    const result = await read("csv", `a,b\n${"1,2\n".repeat(30_000)}x,3.5\n`);
    expect(typesOf(result)).toEqual({ a: "VARCHAR", b: "DOUBLE" });
    expect(result.rows).toBe(30_001);
    expect(result.notes).toEqual([
      'Column "a" is text: 1 of its 30001 values is not of type DOUBLE, first "x" in row 30001. nullText tells what stands for a missing value.',
    ]);
  });

  it("takes a text for missing when it is told to", async () => {
    const result = await read("csv", "a,b\n1,NA\nNA,2\n", { nullText: "NA" });
    expect(typesOf(result)).toEqual({ a: "BIGINT", b: "BIGINT" });
    expect(result.profile.map(({ nulls }) => nulls)).toEqual([1, 1]);
  });

  it("knows dates, times, truth values, identifiers with leading zeros, and comments that are none", async () => {
    const csv = [
      "b;d;t;zip;n;empty;hash",
      "true;2001-01-01;2001-01-01 10:00;01234;1e3;;#1",
      "FALSE;2001-01-02;2001-01-01T13:00:00+03:00;99999;inf;;2",
    ].join("\r\n");
    const result = await read("csv", `\ufeff${csv}\r\n`);
    expect(typesOf(result)).toEqual({
      b: "BOOLEAN",
      d: "DATE",
      t: "TIMESTAMP",
      zip: "VARCHAR",
      n: "DOUBLE",
      empty: "VARCHAR",
      hash: "VARCHAR",
    });
    const time = result.profile.find(({ name }) => name === "t");
    expect(time).toMatchObject({ min: "2001-01-01T10:00:00.000Z", max: "2001-01-01T10:00:00.000Z" });
  });

  it("keeps quotes, delimiters and line ends inside quoted fields", async () => {
    const result = await read("csv", 'a,"b, c"\n1,"x ""y"", z"\n2,"two\nlines"\n');
    expect(result.columns.map(({ name }) => name)).toEqual(["a", "b, c"]);
    expect(result.profile[1]).toMatchObject({
      top: [
        { value: "two\nlines", count: 1 },
        { value: 'x "y", z', count: 1 },
      ],
    });
  });

  it("with nothing but a header has no rows", async () => {
    expect(await read("csv", "a,b\n")).toMatchObject({ rows: 0 });
  });
});

describe("a JSON Lines file", () => {
  it("reads the times that JavaScript writes, offsets applied", async () => {
    const result = await read(
      "jsonl",
      '{"t":"2001-01-01T13:00:00+03:00"}\n{"t":"2001-01-01T10:00:00.000Z"}\n',
    );
    expect(result.profile[0]).toMatchObject({
      kind: "time",
      distinct: { value: 1 },
      min: "2001-01-01T10:00:00.000Z",
    });
  });

  it("takes types from all rows and keeps nested values as they are", async () => {
    const lines = [...new Array(25_000).fill('{"a":1,"n":{"x":1}}'), '{"a":1.5,"c":"late"}'];
    const result = await read("jsonl", lines.join("\n"));
    expect(result.columns.map(({ name, kind }) => [name, kind])).toEqual([
      ["a", "numeric"],
      ["n", "other"],
      ["c", "text"],
    ]);
    expect(result.profile[2]).toMatchObject({ nulls: 25_000 });
  });

  it.each([
    ["a broken line", '{"a":1}\n{"a":2,\n', /at byte \d+ in line \d/],
    ["values that are no objects", "1\n2\n", /expected records/],
    ["one array", '[{"a":1}]', /expected records/],
  ])("with %s is refused", async (_, content, message) => {
    await expect(read("jsonl", content)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(message),
    });
  });
});

describe("a Parquet file", () => {
  it.each([
    ["too short to be one", "PAR1", /too small/],
    ["without its end", `PAR1${"x".repeat(200)}`, /./],
    ["with a broken footer", `PAR1${"x".repeat(200)}PAR1`, /Footer/],
  ])("%s is refused without our paths", async (_, content, message) => {
    const error = await read("parquet", content).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ kind: "invalid", message: expect.stringMatching(message) });
    expect((error as Error).message).not.toMatch(/ketline-|upload/);
  });
});

describe("the profile of a column", () => {
  it("counts missing, NaN and infinite values apart and leaves them out of the rest", async () => {
    const values = [1, 2, 3, 4].map(String).concat("nan", "inf", "-inf", '""');
    const { profile } = await read("csv", `x\n${values.join("\n")}\n`);
    expect(profile[0]).toMatchObject({
      kind: "numeric",
      rows: 8,
      nulls: 1,
      nan: 1,
      posInf: 1,
      negInf: 1,
      min: 1,
      max: 4,
      mean: 2.5,
      sd: Math.sqrt(1.25),
    });
  });

  it("survives numbers whose squares overflow, and constants", async () => {
    const { profile } = await read("csv", "big,same,none\n1e308,7,\n-1e308,7,\n1e300,7,\n");
    expect(profile[0]).toMatchObject({ min: -1e308, max: 1e308 });
    const big = profile[0] as { sd: number; histogram: { counts: number[] } };
    expect(big.sd / 1e308).toBeCloseTo(Math.sqrt(2 / 3), 6);
    expect(big.histogram.counts.reduce((a, b) => a + b)).toBe(3);
    expect(profile[1]).toMatchObject({ mean: 7, sd: 0, histogram: { edges: [7, 7], counts: [3] } });
    expect(profile[2]).toMatchObject({ nulls: 3, distinct: { value: 0, exact: true } });
  });

  it("puts every value into the histogram, ends included", async () => {
    const { profile } = await read(
      "csv",
      `x\n${Array.from({ length: 101 }, (_, i) => i / 100).join("\n")}\n`,
    );
    const { histogram } = profile[0] as { histogram: { edges: number[]; counts: number[] } };
    expect(histogram.edges[0]).toBe(0);
    expect(histogram.edges.at(-1)).toBe(1);
    expect(histogram.counts.reduce((a, b) => a + b)).toBe(101);
    expect(Math.max(...histogram.counts)).toBeLessThanOrEqual(7);
  });

  it("counts distinct values exactly while they are few, and within 5 % beyond", async () => {
    const few = await read("csv", `x\n${Array.from({ length: 11_000 }, (_, i) => i).join("\n")}\n`);
    expect(few.profile[0]?.distinct).toEqual({ value: 11_000, exact: true });
    const many = await read("csv", `x\n${Array.from({ length: 60_000 }, (_, i) => `id-${i}`).join("\n")}\n`);
    expect(many.profile[0]?.distinct.exact).toBe(false);
    // Three standard errors of 1.6 %.
    expect(Math.abs((many.profile[0]?.distinct.value ?? 0) / 60_000 - 1)).toBeLessThan(0.05);
  });

  it("knows the three million flights", async () => {
    const result = await inScratchDirectory((scratchDirectory) =>
      profileFile(
        {
          source: { file: flightsFile, format: "parquet", options: {}, maxBytes: 10_000_000 },
          scratchDirectory,
          expectations: [
            { kind: "rows", min: 3_000_000, max: 3_000_000 },
            { kind: "column", column: "delay", type: "numeric" },
            { kind: "column", column: "carrier" },
            { kind: "nulls", column: "delay", maxShare: 0 },
            { kind: "range", column: "delay", min: -200 },
            { kind: "range", column: "distance", min: 0, max: 5000 },
            { kind: "range", column: "origin", min: 0 },
            { kind: "allowed", column: "origin", values: ["ATL"] },
            { kind: "unique", columns: ["date", "origin", "destination", "delay", "distance"] },
          ],
        },
        () => {},
      ),
    );
    expect(result.columns.map(({ name, kind }) => [name, kind])).toEqual([
      ["date", "time"],
      ["delay", "numeric"],
      ["distance", "numeric"],
      ["origin", "text"],
      ["destination", "text"],
    ]);
    expect(result.profile[1]).toMatchObject({ min: -1116, max: 1688, distinct: { value: 867, exact: true } });
    expect(result.profile[3]).toMatchObject({ distinct: { value: 229 }, top: { 0: { value: "ORD" } } });
    expect(result.checks.map(({ passed }) => passed)).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
      false,
      false,
      false,
    ]);
    expect(result.checks.at(-1)?.observed).toMatch(/^191 rows repeat/);
  });
});

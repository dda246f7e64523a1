import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { judgeDrift } from "../../../../models/monitoring/drift/drift.ts";
import type { DriftReport } from "../../../../models/monitoring/schemas.ts";
import { buildReferenceProfile, type ReferenceProfile } from "../../../../shared/statistics/index.ts";
import { defaultThresholds, windowOf } from "../windows.ts";

/**
 * US flights of January to June 2001 (`vega-datasets`, from the Bureau of Transportation Statistics): delays in minutes,
 * week by week against January. Nothing about them is made up, and nobody knows the right answers; what is asked for is
 * that verdicts repeat, that ordinary weeks raise no storm, and that the weeks that stand out in the table of means are
 * found with the right sign.
 */
const file = fileURLToPath(
  new URL("../../../../node_modules/vega-datasets/data/flights-3m.parquet", import.meta.url),
);
const rules = { thresholds: defaultThresholds, minimumRows: 300, columns: null };
const first = Date.UTC(2001, 0, 1);
const weeks = Array.from({ length: 26 }, (_, week) =>
  new Date(first + week * 7 * 86_400_000).toISOString().slice(0, 10),
);

let reference: ReferenceProfile;
let delays: Map<number, number[]>;
let reports: DriftReport[];

beforeAll(async () => {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", { threads: "2" });
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(
    `select cast(delay as double), cast(date_diff('day', date '2001-01-01', date) as integer)
     from read_parquet($1) where date < date '2001-07-01'`,
    [file],
  );
  const [delay = [], day = []] = reader.getColumns() as number[][];
  connection.closeSync();
  instance.closeSync();
  delays = new Map();
  delay.forEach((minutes, i) => {
    const week = Math.floor(day[i]! / 7);
    const rows = delays.get(week);
    if (rows === undefined) delays.set(week, [minutes]);
    else rows.push(minutes);
  });
  const january = Float64Array.from(delay.filter((_, i) => day[i]! < 31));
  reference = buildReferenceProfile([{ name: "delay", kind: "numeric", values: january }], { seed: 1 });
  reports = weeks.map((_, week) => judge(week));
});

const judge = (week: number) =>
  judgeDrift(reference, windowOf(reference, { delay: delays.get(week)! }), rules);
const shiftOf = (week: string) => reports[weeks.indexOf(week)]?.columns[0]?.shift?.inSd ?? Number.NaN;

describe("delays of flights in 2001 against January", () => {
  it("have 508,239 rows in the reference", () => {
    expect(reference.columns[0]).toMatchObject({ count: 508_239, nulls: 0 });
  });

  it("drift in the five weeks that stand out, and in no week of January", () => {
    const drifted = weeks.filter((_, week) => reports[week]?.verdict === "drift");
    expect(drifted).toEqual(["2001-02-19", "2001-04-23", "2001-04-30", "2001-05-07", "2001-06-11"]);
  });

  it("are longer in the worst week of February and shorter at the end of April", () => {
    expect(shiftOf("2001-02-19")).toBeGreaterThan(0.2);
    expect(shiftOf("2001-04-23")).toBeLessThan(-0.2);
    expect(shiftOf("2001-04-30")).toBeLessThan(-0.15);
  });

  it("are significant in every week, which is why p-values do not decide", () => {
    for (const report of reports) expect(report.columns[0]?.p).toBeLessThan(1e-6);
  });

  it("get the same verdicts when they are judged again", () => {
    for (const week of [0, 7, 16]) expect(judge(week)).toEqual(reports[week]);
  });
});

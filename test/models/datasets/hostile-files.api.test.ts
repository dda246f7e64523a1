import { readFileSync } from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatasets, datasetMigrations } from "../../../models/datasets/index.ts";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { nestedSchema, onePage, parquetFile, schemaElement } from "../../support/parquet.ts";

let ground: TestApplication;
beforeAll(async () => {
  ground = await testGround({
    migrations: datasetMigrations,
    capabilities: (floor) => [createDatasets(floor)],
  });
});
afterAll(() => ground.close());

const bytes = (text: string) => new TextEncoder().encode(text);
const objects = (depth: number) => bytes(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}\n`);
const wide = (columns: number) =>
  parquetFile({
    schema: [
      schemaElement("root", { children: columns }),
      ...Array.from({ length: columns }, (_, index) =>
        schemaElement(`c${index}`, { type: 1, repetition: 0 }),
      ),
    ],
  });
const oneColumn = [schemaElement("root", { children: 1 }), schemaElement("x", { type: 1, repetition: 0 })];
/** Of 300 MB of zeroes. */
const page = new Uint8Array(300_000_000);

const deep = /nests more than 100 levels deep/;
const memory = /needs more than the \d+ MiB of memory|needed more than the \d+ MiB of memory/;
const ended = /ended its process twice .*: its input makes the reader fail/;
const notParquet = /cannot be read as Parquet/;
const notCsv = /cannot be read as CSV/;
const notJson = /cannot be read as JSON Lines/;

type Hostile = readonly [what: string, format: string, content: () => Uint8Array, reason: RegExp];
const hostile: readonly Hostile[] = [
  ["JSON Lines with 200,000 levels of [", "jsonl", () => bytes("[".repeat(200_000)), deep],
  [
    "the same inside an object, closed",
    "jsonl",
    () => bytes(`{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`),
    deep,
  ],
  ["50,000 nested objects", "jsonl", () => objects(50_000), deep],
  ["500 nested objects", "jsonl", () => objects(500), deep],
  [
    "nested objects in a later line",
    "jsonl",
    () => Buffer.concat([bytes('{"a":{"a":1}}\n'), objects(20_000)]),
    /line 2: it nests/,
  ],
  [
    "Parquet whose schema nests 20,000 deep",
    "parquet",
    () => parquetFile({ schema: nestedSchema(20_000) }),
    ended,
  ],
  [
    "Parquet whose schema nests 300,000 deep",
    "parquet",
    () => parquetFile({ schema: nestedSchema(300_000) }),
    ended,
  ],
  ["Parquet of 100,000 columns", "parquet", () => wide(100_000), /100000 columns; at most 10000/],
  [
    "Parquet with more rows than its page has",
    "parquet",
    () => onePage({ rows: 2n ** 40n, values: 1_000_000_000, data: new Uint8Array(8) }),
    notParquet,
  ],
  [
    "Parquet with a negative number of rows",
    "parquet",
    () => onePage({ rows: -1, data: new Uint8Array(8) }),
    /negative number of rows/,
  ],
  [
    "Parquet whose page claims two gigabytes",
    "parquet",
    () => onePage({ rows: 10, codec: 2, uncompressedBytes: 2 ** 31 - 1, data: gzipSync(new Uint8Array(40)) }),
    notParquet,
  ],
  [
    "Parquet whose page does unpack to much",
    "parquet",
    () =>
      onePage({
        rows: 75_000_000,
        codec: 6,
        uncompressedBytes: page.byteLength,
        data: zstdCompressSync(page),
      }),
    /./,
  ],
  [
    "Parquet with an absurd dictionary",
    "parquet",
    () =>
      onePage({
        rows: 10,
        pageType: 2,
        values: 2 ** 31 - 1,
        uncompressedBytes: 2 ** 31 - 1,
        data: new Uint8Array(8),
      }),
    notParquet,
  ],
  [
    "Parquet that refers to no dictionary",
    "parquet",
    () => onePage({ rows: 10, encoding: 8, data: Uint8Array.of(32, 255, 255, 255, 255, 7, 1, 2) }),
    notParquet,
  ],
  [
    "Parquet with texts longer than the file",
    "parquet",
    () => onePage({ rows: 2, type: 6, data: Uint8Array.of(255, 255, 255, 127, 1, 2) }),
    notParquet,
  ],
  [
    "Parquet that claims two milliards of elements of its schema",
    "parquet",
    () => parquetFile({ schema: [], claimedSchema: 2 ** 31 - 1 }),
    memory,
  ],
  [
    "Parquet that claims two milliards of row groups",
    "parquet",
    () => parquetFile({ schema: oneColumn, claimedRowGroups: 2 ** 31 - 1 }),
    memory,
  ],
  [
    "Parquet whose root has more children than there are",
    "parquet",
    () => parquetFile({ schema: [schemaElement("root", { children: 2 ** 31 - 1 })] }),
    notParquet,
  ],
  ["Parquet of its magic bytes alone", "parquet", () => bytes("PAR1PAR1"), notParquet],
  [
    "Parquet whose footer is longer than the file",
    "parquet",
    () => Buffer.concat([bytes("PAR1"), Uint8Array.of(255, 255, 255, 255), bytes("PAR1")]),
    notParquet,
  ],
  [
    "CSV with a line of 40 MB",
    "csv",
    () => bytes(`a,b\n1,${"x".repeat(40_000_000)}\n`),
    /line 2: it is longer than 2000000 bytes/,
  ],
  [
    "CSV with a quote that is closed 40 MB later",
    "csv",
    () => bytes(`a,b\n1,"${"x\n".repeat(20_000_000)}"\n`),
    /line 2: it is longer than 2000000 bytes/,
  ],
  [
    "CSV with a million columns",
    "csv",
    () => bytes(`${Array.from({ length: 1_000_000 }, (_, i) => `c${i}`).join(",")}\n`),
    /first line is longer/,
  ],
  [
    "CSV with 30,000 columns",
    "csv",
    () => bytes(`${Array.from({ length: 30_000 }, (_, i) => `c${i}`).join(",")}\n${"1,".repeat(29_999)}1\n`),
    memory,
  ],
  ["CSV with NUL in it", "csv", () => bytes("a,b\n1,\0\n"), notCsv],
  ["JSON Lines with one text of 40 MB", "jsonl", () => bytes(`{"a":"${"x".repeat(40_000_000)}"}\n`), notJson],
  [
    "JSON Lines of bytes that are no UTF-8",
    "jsonl",
    () => Buffer.concat([bytes('{"a":"'), Uint8Array.of(255, 254), bytes('"}\n')]),
    notJson,
  ],
  ["JSON Lines that are Parquet", "jsonl", () => parquetFile({ schema: nestedSchema(2) }), notJson],
];

describe("a file that is made to end or to bloat who reads it", () => {
  it.each(hostile)(
    "fails its version for good, with the reason: %s",
    async (what, format, content, reason) => {
      const name = `h${hostile.findIndex(([each]) => each === what)}`;
      const answer = await call(
        ground.app,
        "POST",
        `/api/v1/datasets/${name}/versions?format=${format}`,
        content(),
      );
      expect(answer.status).toBe(202);
      const { version, job } = answer.body as { version: { version: string }; job: { id: string } };
      const before = process.memoryUsage.rss();
      await ground.runner.drain();
      expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 ** 2);
      const ended = (await call(ground.app, "GET", `/api/v1/jobs/${job.id}`)).body;
      expect(ended).toMatchObject({ state: "failed", attempt: 1, error: expect.stringMatching(reason) });
      const failed = (await call(ground.app, "GET", `/api/v1/datasets/${name}/versions/${version.version}`))
        .body;
      expect(failed).toMatchObject({ state: "failed", error: expect.stringMatching(reason) });
      expect(JSON.stringify([ended, failed])).not.toMatch(/ketline-|\/tmp/);
    },
    120_000,
  );

  it("never brought DuckDB into the server's own process", async () => {
    await call(ground.app, "POST", "/api/v1/datasets/good/versions?format=csv", "a\n1\n");
    await ground.runner.drain();
    expect((await call(ground.app, "GET", "/api/v1/datasets/good/versions/latest")).body).toMatchObject({
      state: "ready",
      rows: 1,
    });
    if (process.platform !== "linux") return;
    expect(readFileSync("/proc/self/maps", "utf8")).not.toMatch(/duckdb/);
  });
});

describe("what the test's own writer of Parquet makes", () => {
  it("is read where it does not lie", async () => {
    const content = onePage({ rows: 2, data: Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0) });
    await call(ground.app, "POST", "/api/v1/datasets/honest/versions?format=parquet", content);
    await ground.runner.drain();
    const { body } = await call(ground.app, "GET", "/api/v1/datasets/honest/versions/latest");
    expect(body).toMatchObject({ state: "ready", rows: 2, columns: [{ name: "x", type: "INTEGER" }] });
  });
});

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import profileFile from "../../../models/datasets/profiling/profile.worker.ts";
import { withDuckDb } from "../../../shared/duckdb/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";

async function read(content: string | Uint8Array, format: "csv" | "jsonl" = "csv") {
  return inScratchDirectory(async (scratchDirectory) => {
    const file = path.join(scratchDirectory, "upload");
    await writeFile(file, content);
    const source = { file, format, options: {}, maxBytes: 10_000_000 };
    const found = await profileFile({ source, expectations: [], scratchDirectory }, () => {});
    const rows = await withDuckDb({ files: [found.rowsFile], scratchDirectory }, (duckDb) =>
      duckDb.rows("select * from read_parquet($1)", [found.rowsFile]),
    );
    return {
      types: found.columns.map(({ type }) => type),
      rows,
      notes: found.notes,
      findings: found.findings,
    };
  });
}

describe("the usual spellings of a missing value", () => {
  it.each(["NA", "N/A", "null", "NULL", "None", "nan", "-", ".", "?", "#N/A", "(null)", "n/a", " NA "])(
    "%j leaves a column of whole numbers numeric, and is shown as found",
    async (spelling) => {
      const { types, rows, notes } = await read(`a,b\n1,x\n${spelling},y\n3,z\n`);
      const isNumber = spelling === "nan";
      expect(types[0]).toBe(isNumber ? "DOUBLE" : "BIGINT");
      if (isNumber) return;
      expect(rows.map(({ a }) => a)).toEqual(["1", null, "3"]);
      expect(notes).toEqual([`Column "a": ${JSON.stringify(spelling)} (1) are read as missing values.`]);
    },
  );

  it("may stand beside each other, and in columns of times and truth values", async () => {
    const { types, rows, notes } = await read(
      "n,day,flag\n1.5,2001-01-01,true\nNA,?,-\n?,2001-01-03,false\nnan,NULL,N/A\n",
    );
    expect(types).toEqual(["DOUBLE", "DATE", "BOOLEAN"]);
    expect(rows.map(({ n }) => n)).toEqual([1.5, null, null, null]);
    expect(notes).toHaveLength(3);
  });

  it("are text where a column is text, or nothing but they", async () => {
    const { types, rows, notes } = await read("a,b\nNA,-\nx,-\n");
    expect(types).toEqual(["VARCHAR", "VARCHAR"]);
    expect(rows).toEqual([
      { a: "NA", b: "-" },
      { a: "x", b: "-" },
    ]);
    expect(notes).toEqual([]);
  });
});

describe("decimal commas", () => {
  it("are read as points where a semicolon separates, and shown as found", async () => {
    const { types, rows, notes } = await read("a;b\n1,5;x\n-2;y\nNA;z\n1,5e3;z\n");
    expect(types).toEqual(["DOUBLE", "VARCHAR"]);
    expect(rows.map(({ a }) => a)).toEqual([1.5, -2, null, 1500]);
    expect(notes.join(" ")).toMatch(/"a": "NA" \(1\).*"a" is numeric: its decimal commas/);
  });

  it("are not guessed where a comma separates, nor in lists and identifiers", async () => {
    expect((await read('a,b\n"1,500",x\n"2,500",y\n')).types).toEqual(["VARCHAR", "VARCHAR"]);
    expect((await read("a;b\n1,2,3;x\n4,5;y\n")).types).toEqual(["VARCHAR", "VARCHAR"]);
    expect((await read("a;b\n007;x\n1,5;y\n")).types).toEqual(["VARCHAR", "VARCHAR"]);
  });
});

describe("text that is no UTF-8", () => {
  it.each([
    ["Windows-1252", Buffer.from("name,n\nM\xfcller,1\n", "latin1")],
    ["UTF-16", Buffer.from("\ufeffname,n\nMüller,1\n", "utf16le")],
    ["UTF-16", Buffer.from("\ufeffname,n\nMüller,1\n", "utf16le").swap16()],
  ])("is read as %s, and shown as found", async (encoding, content) => {
    const { rows, notes } = await read(content);
    expect(rows).toEqual([{ name: "Müller", n: "1" }]);
    expect(notes).toEqual([expect.stringContaining(`is read as ${encoding}`)]);
  });

  it("is told from UTF-8 by all of its bytes, those at the end too", async () => {
    const lines = "Müller,1\n".repeat(200_000);
    const content = Buffer.concat([Buffer.from(`name,n\n${lines}`), Buffer.from("M\xfcller,1\n", "latin1")]);
    expect((await read(content)).notes).toEqual([expect.stringContaining("Windows-1252")]);
    expect((await read(`\ufeffname,n\nMüller,1\n`)).notes).toEqual([]);
  });
});

describe("a packed file", () => {
  const csv = "name,n\nx,1\ny,NA\n";

  it.each([
    ["gzip", gzipSync(csv)],
    ["gzip", Buffer.concat([gzipSync("name,n\n"), gzipSync("x,1\ny,NA\n")])],
    ["zstd", zstdCompressSync(csv)],
  ])("of %s is unpacked, and shown as found", async (compression, content) => {
    const { rows, findings } = await read(content);
    expect(rows).toEqual([
      { name: "x", n: "1" },
      { name: "y", n: null },
    ]);
    expect(findings).toEqual({
      compression,
      encoding: "utf-8",
      delimiter: ",",
      columns: [{ kind: "missing", column: "n", spellings: [{ text: "NA", count: 1 }] }],
    });
  });

  it("may be JSON Lines, and is refused with its own line where it is wrong", async () => {
    expect(await read(gzipSync('{"a":1}\n'), "jsonl")).toMatchObject({
      rows: [{ a: "1" }],
      findings: { compression: "gzip" },
    });
    const refused = await read(gzipSync('{"a":1}\n{"a":\n'), "jsonl").catch((error: unknown) => error);
    expect(refused).toMatchObject({ kind: "invalid", message: expect.not.stringMatching(/tmp|ketline-/) });
  });

  it.each([
    ["cut off", gzipSync("a,b\n1,2\n").subarray(0, 20)],
    ["damaged", gzipSync("a,b\n1,2\n").fill(7, 12, 16)],
    ["only its first bytes", Uint8Array.of(0x1f, 0x8b)],
    ["zstd that is cut off", zstdCompressSync("a,b\n1,2\n".repeat(100)).subarray(0, 20)],
    ["zstd of its first bytes", Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 255, 255, 255)],
  ])("is refused in words: %s", async (_what, content) => {
    await expect(read(content)).rejects.toMatchObject({ kind: "invalid", message: /cannot be unpacked/ });
  });

  it.each([
    ["gzip", gzipSync(new Uint8Array(200_000_000))],
    ["zstd", zstdCompressSync(new Uint8Array(200_000_000))],
  ])("that unpacks to more than an upload may have is refused: %s", async (_what, content) => {
    await expect(read(content)).rejects.toMatchObject({
      kind: "too_large",
      message: /more than the 10000000 bytes/,
    });
  });
});

describe("a column that a few values keep from a type", () => {
  it("is told of them, and not of its missing values", async () => {
    const { types, notes } = await read(`a\n${"1\nNA\n".repeat(50)}x\n`);
    expect(types).toEqual(["VARCHAR"]);
    expect(notes).toEqual([
      expect.stringMatching(/1 of its 51 values is not of type DOUBLE, first "x" in row 101/),
    ]);
  });
});

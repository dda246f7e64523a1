import path from "node:path";
import { type DuckDb, quoteText } from "../../shared/duckdb/index.ts";
import { invalid } from "../../shared/errors.ts";
import { csvToParquet } from "./csv.ts";
import type { Column, ColumnKind, Format, ReadOptions } from "./schemas.ts";
import { settleTypes } from "./text-types.ts";

export interface Source {
  readonly file: string;
  readonly format: Format;
  readonly options: ReadOptions;
}

export interface Rows {
  /** A Parquet file: the source itself, or what its text was turned into. */
  readonly file: string;
  readonly columns: readonly Column[];
  readonly count: number;
  /** What was noticed on the way. */
  readonly notes: readonly string[];
}

/**
 * Reads a file once, whole, into Parquet of settled types: text formats are parsed at registration and never again, so
 * that every reader sees the same types, and a malformed row is found now.
 */
export async function readRows(duckDb: DuckDb, source: Source, scratchDirectory: string): Promise<Rows> {
  const target = path.join(scratchDirectory, "rows.parquet");
  const notes = await toParquet(duckDb, source, target, scratchDirectory);
  const file = source.format === "parquet" ? source.file : target;
  const described = await duckDb.rows(`describe select * from read_parquet(${quoteText(file)})`);
  const columns = described.map((row) => {
    const type = String(row.column_type);
    return { name: String(row.column_name), type, kind: columnKindOf(type) };
  });
  const [counted] = await duckDb.rows(`select count(*) as n from read_parquet(${quoteText(file)})`);
  return { file, columns, count: Number(counted?.n), notes };
}

async function toParquet(
  duckDb: DuckDb,
  source: Source,
  target: string,
  scratchDirectory: string,
): Promise<readonly string[]> {
  switch (source.format) {
    case "parquet":
      return [];
    case "csv":
      return csvToParquet(duckDb, source.file, source.options, target, scratchDirectory);
    case "jsonl":
      return jsonLinesToParquet(duckDb, source.file, target, scratchDirectory);
  }
}

/** DuckDB leaves times with an offset, as JavaScript writes them, text; they become times here. */
async function jsonLinesToParquet(
  duckDb: DuckDb,
  file: string,
  target: string,
  scratchDirectory: string,
): Promise<readonly string[]> {
  const texts = path.join(scratchDirectory, "texts.parquet");
  // The types follow from all rows (sample_size -1), not from the first 20,480 as by default.
  const rows = `read_json(${quoteText(file)}, format = 'newline_delimited', records = true, sample_size = -1)`;
  await duckDb.run(
    `copy (select * from ${rows}) to ${quoteText(texts)} (format parquet, compression snappy)`,
  );
  const described = await duckDb.rows(`describe select * from read_parquet(${quoteText(texts)})`);
  const names = described
    .filter((column) => column.column_type === "VARCHAR")
    .map((column) => String(column.column_name));
  return settleTypes(duckDb, texts, names, target, ["TIMESTAMP"]);
}

/** What a column can be used for, from DuckDB's name of its type. */
export function columnKindOf(type: string): ColumnKind {
  if (/^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\))$/.test(type)) {
    return "numeric";
  }
  if (type === "BOOLEAN") return "boolean";
  if (type === "VARCHAR" || type === "UUID" || /^ENUM\(.*\)$/s.test(type)) return "text";
  if (/^(DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE)$/.test(type)) return "time";
  return "other";
}

/**
 * DuckDB's errors about a file as `invalid`, with the line or column at fault, without our paths and its advice on SQL.
 * Errors of other kinds (memory, disk) are not the file's fault and stay as they are.
 */
export function unreadable(error: unknown, source: Source): unknown {
  const message = error instanceof Error ? error.message : "";
  const match =
    /^(Invalid Input|Conversion|Binder|Parser|Serialization|IO|Not implemented|Invalid|TProtocolException|Out of Range) Error: (.*)$/s.exec(
      message,
    );
  const text = match?.[2];
  if (text === undefined || /No space left|could not allocate/i.test(text)) return error;
  const lines = text.replaceAll(source.file, "the file").split("\n");
  const end = lines.findIndex((line) => /^\s*$|^(Possible|Try |\s*Try |LINE \d|\*)/.test(line));
  const what = lines
    .slice(0, end <= 0 ? 1 : end)
    .map((line) => line.trim())
    .join("; ");
  return invalid(`The file cannot be read as ${nameOf[source.format]}: ${what}`, { cause: error });
}

const nameOf: Readonly<Record<Format, string>> = {
  parquet: "Parquet",
  csv: "CSV",
  jsonl: "JSON Lines, one object a line",
};

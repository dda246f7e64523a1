import path from "node:path";
import { type DuckDb, quoteText } from "../../../shared/duckdb/index.ts";
import { invalid, isKetlineError, tooLarge } from "../../../shared/errors.ts";
import { unpacked } from "../dialect/compression.ts";
import { notesOf } from "../dialect/findings.ts";
import type { Column, ColumnKind, Findings, Format, ReadOptions } from "../schemas.ts";
import { csvToParquet } from "./csv.ts";
import { checkDepth } from "./json-depth.ts";
import { settleTypes } from "./text-types.ts";

export interface Source {
  readonly file: string;
  readonly format: Format;
  readonly options: ReadOptions;
  /** What a packed text file may hold unpacked. */
  readonly maxBytes: number;
}

export interface Rows {
  /** A Parquet file: the source itself, or what its text was turned into. */
  readonly file: string;
  readonly columns: readonly Column[];
  readonly count: number;
  /** What was noticed on the way. */
  readonly notes: readonly string[];
  /** Null for Parquet, which leaves nothing to be understood. */
  readonly findings: Findings | null;
}

/**
 * Reads a file once, whole, into Parquet of settled types: text formats are parsed at registration and never again, so
 * that every reader sees the same types, and a malformed row is found now.
 */
export async function readRows(duckDb: DuckDb, source: Source, scratchDirectory: string): Promise<Rows> {
  const target = path.join(scratchDirectory, "rows.parquet");
  const { notes, findings } = await toParquet(duckDb, source, target, scratchDirectory);
  const file = source.format === "parquet" ? source.file : target;
  const described = await duckDb.rows(`describe select * from read_parquet(${quoteText(file)})`);
  const columns = described.map((row) => {
    const type = String(row.column_type);
    return { name: String(row.column_name), type, kind: columnKindOf(type) };
  });
  checkColumns(columns.length);
  const [counted] = await duckDb.rows(`select count(*) as n from read_parquet(${quoteText(file)})`);
  return { file, columns, count: Number(counted?.n), notes, findings };
}

/** Each column is profiled by queries of its own, and described wherever a version is. */
const maxColumns = 10_000;

/** @throws tooLarge */
export function checkColumns(count: number): void {
  if (count <= maxColumns) return;
  throw tooLarge(`The file has ${count} columns; at most ${maxColumns} are read.`);
}

async function toParquet(
  duckDb: DuckDb,
  source: Source,
  target: string,
  scratchDirectory: string,
): Promise<Pick<Rows, "notes" | "findings">> {
  if (source.format === "parquet") return { notes: [], findings: null };
  const { file, compression } = await unpacked(source.file, scratchDirectory, source.maxBytes);
  const read =
    source.format === "csv"
      ? await csvToParquet(duckDb, file, source.options, target, scratchDirectory)
      : await jsonLinesToParquet(duckDb, file, target, scratchDirectory);
  const findings = { compression, ...read.findings };
  return { notes: [...notesOf(findings), ...read.notes], findings };
}

/** DuckDB leaves times with an offset, as JavaScript writes them, text; they become times here. */
async function jsonLinesToParquet(
  duckDb: DuckDb,
  file: string,
  target: string,
  scratchDirectory: string,
): ReturnType<typeof csvToParquet> {
  await checkDepth(file);
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
  const { notes, findings } = await settleTypes(duckDb, texts, names, target, { candidates: ["TIMESTAMP"] });
  return { notes, findings: { encoding: "utf-8", delimiter: null, columns: findings } };
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
 *
 * Every error of DuckDB is the file's fault, its internal ones too (a length that lies fails an assertion of its reader),
 * and so final: the same bytes would meet it again. Only a full disk, files that could not be opened, and an
 * interruption are not. What needs too much memory is `tooLarge` already (`withDuckDb`), and as final.
 */
export function unreadable(error: unknown, source: Source): unknown {
  if (isKetlineError(error) || !(error instanceof Error)) return error;
  const text = /^[\w ]+ Error: (.*)$/s.exec(error.message)?.[1] ?? fromLibrary.exec(error.message)?.[0];
  if (text === undefined || passing.test(error.message)) return error;
  const lines = text.replaceAll(source.file, "the file").replaceAll(inScratch, "the file").split("\n");
  const end = lines.findIndex((line) => /^\s*$|^(Possible|Try |\s*Try |LINE \d|\*)/.test(line));
  const what = lines
    .slice(0, end <= 0 ? 1 : end)
    .map((line) => line.trim())
    .join("; ");
  return invalid(`The file cannot be read as ${nameOf[source.format]}: ${what}`, { cause: error });
}

/** What the file was unpacked or decoded to. */
const inScratch = /\/[^\s"']*\/(unpacked|utf-8\.csv|texts\.parquet|rows\.parquet)/g;
const passing = /^INTERRUPT Error|No space left|Cannot open file|Too many open files|Input\/output error/i;
/** Errors of the C++ library that DuckDB passes on without a kind of its own. */
const fromLibrary =
  /^(basic_string|vector|std::|TProtocolException|don't know what type|No more data|invalid).*$/is;

const nameOf: Readonly<Record<Format, string>> = {
  parquet: "Parquet",
  csv: "CSV",
  jsonl: "JSON Lines, one object a line",
};

import { open } from "node:fs/promises";
import path from "node:path";
import { type DuckDb, quoteName, quoteText } from "../../shared/duckdb/index.ts";
import { invalid } from "../../shared/errors.ts";
import type { ReadOptions } from "./schemas.ts";

/**
 * CSV as RFC 4180 has it, with a header, into Parquet. DuckDB's own detection of dialect and types is not used: it
 * drops the rows that do not fit its guess (`a,b⏎1,2⏎3,4,5` becomes one row of three columns), and takes types from the
 * first rows only. Here every row is read as text under the header's columns, and a column's type is the narrowest that
 * all of its values have.
 *
 * @returns notes on columns whose type a few values decided
 */
export async function csvToParquet(
  duckDb: DuckDb,
  file: string,
  options: ReadOptions,
  target: string,
  scratchDirectory: string,
): Promise<string[]> {
  const { delimiter, names } = await readHeader(file, options.delimiter);
  const texts = path.join(scratchDirectory, "texts.parquet");
  const nullTexts = ["", ...(options.nullText === undefined ? [] : [options.nullText])];
  const dialect = [
    "auto_detect = false",
    "header = true",
    "skip = 0",
    `delim = ${quoteText(delimiter)}`,
    `quote = '"'`,
    `escape = '"'`,
    "comment = ''",
    "strict_mode = true",
    `nullstr = [${nullTexts.map(quoteText).join(", ")}]`,
    `columns = {${names.map((name) => `${quoteText(name)}: 'VARCHAR'`).join(", ")}}`,
  ];
  await duckDb.run(
    `copy (select * from read_csv(${quoteText(file)}, ${dialect.join(", ")}))
       to ${quoteText(texts)} (format parquet, compression snappy)`,
  );
  const types: CsvType[] = [];
  const notes: string[] = [];
  for (const name of names) {
    const { type, note } = await inferType(duckDb, texts, name);
    types.push(type);
    if (note !== undefined) notes.push(note);
  }
  const typed = names.map((name, index) => {
    const column = quoteName(name);
    return types[index] === "VARCHAR" ? column : `cast(${column} as ${types[index]}) as ${column}`;
  });
  await duckDb.run(
    `copy (select ${typed.join(", ")} from read_parquet(${quoteText(texts)}))
       to ${quoteText(target)} (format parquet, compression zstd)`,
  );
  return notes;
}

type CsvType = "BIGINT" | "DOUBLE" | "BOOLEAN" | "DATE" | "TIMESTAMP" | "VARCHAR";

/**
 * Whether a text is of a type, from the narrowest to the widest. A whole number with a leading zero is an identifier
 * (a postcode) and stays text; dates and times are those of ISO 8601, without an offset read as UTC.
 */
const tests: readonly (readonly [CsvType, (text: string) => string])[] = [
  ["BOOLEAN", (text) => `lower(${text}) in ('true', 'false')`],
  [
    "BIGINT",
    (text) =>
      `try_cast(${text} as bigint) is not null and regexp_full_match(${text}, '[+-]?(0|[1-9][0-9]*)')`,
  ],
  [
    "DOUBLE",
    (text) => `try_cast(${text} as double) is not null and not regexp_full_match(${text}, '[+-]?0[0-9]+')`,
  ],
  [
    "DATE",
    (text) =>
      `try_cast(${text} as date) is not null and regexp_full_match(${text}, '[0-9]{4}-[0-9]{2}-[0-9]{2}')`,
  ],
  ["TIMESTAMP", (text) => `try_cast(${text} as timestamp) is not null`],
];

/** A column that is of a type but for at most this share of its values deserves a note. */
const nearly = 0.05;

async function inferType(
  duckDb: DuckDb,
  texts: string,
  name: string,
): Promise<{ type: CsvType; note?: string }> {
  const column = quoteName(name);
  const aggregates = tests.map(([type, test]) => `count(*) filter (${test(column)}) as ${type}`);
  const from = `from read_parquet(${quoteText(texts)}, file_row_number = true) where ${column} is not null`;
  const [counts] = await duckDb.rows(`select count(*) as n, ${aggregates.join(", ")} ${from}`);
  const present = Number(counts?.n);
  if (present === 0) return { type: "VARCHAR" };
  const countOf = (type: CsvType) => Number(counts?.[type]);
  const found = tests.find(([type]) => countOf(type) === present);
  if (found !== undefined) return { type: found[0] };
  const almost = tests.filter(([type]) => countOf(type) >= present * (1 - nearly)).at(-1);
  if (almost === undefined) return { type: "VARCHAR" };
  const [type, test] = almost;
  const [first] = await duckDb.rows(
    `select ${column} as value, file_row_number + 1 as row ${from} and not (${test(column)}) order by file_row_number limit 1`,
  );
  const others = present - countOf(type);
  const note =
    `Column "${name}" is text: ${others} of its ${present} values ${others === 1 ? "is" : "are"} not of type ${type}, ` +
    `first ${JSON.stringify(String(first?.value).slice(0, 50))} in row ${first?.row}. nullText tells what stands for a missing value.`;
  return { type: "VARCHAR", note };
}

const longestHeader = 256 * 1024;
const delimiters = [",", ";", "\t", "|"] as const;

/** The first record of the file: its delimiter, if not given, is the candidate that it has most of outside quotes. */
async function readHeader(
  file: string,
  given: ReadOptions["delimiter"],
): Promise<{ delimiter: string; names: string[] }> {
  const text = await beginning(file);
  if (text.includes("\0")) throw invalid("The file cannot be read as CSV: it is not text.");
  const counts = new Map<string, number>(delimiters.map((candidate) => [candidate, 0]));
  let quoted = false;
  let end = 0;
  for (; end < text.length; end++) {
    const character = text.charAt(end);
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "\n" || character === "\r")) break;
    else if (!quoted && counts.has(character)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  if (end === text.length && text.length >= longestHeader) {
    throw invalid(`The file cannot be read as CSV: its first line is longer than ${longestHeader} bytes.`);
  }
  const header = text.slice(0, end);
  const delimiter =
    given ?? delimiters.reduce((a, b) => ((counts.get(b) ?? 0) > (counts.get(a) ?? 0) ? b : a));
  const names = splitRecord(header, delimiter);
  const empty = names.findIndex((name) => name.trim() === "");
  if (empty >= 0) {
    throw invalid(`The file cannot be read as CSV: column ${empty + 1} has no name in the header (line 1).`);
  }
  const seen = new Set<string>();
  for (const name of names) {
    // DuckDB's names do not tell upper from lower case.
    if (seen.has(name.toLowerCase())) {
      throw invalid(
        `The file cannot be read as CSV: two columns are named "${name}" in the header (line 1).`,
      );
    }
    seen.add(name.toLowerCase());
  }
  return { delimiter, names };
}

async function beginning(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(longestHeader), 0, longestHeader, 0);
    // A byte order mark is dropped by the decoder; a character cut in two at the end does not matter.
    return new TextDecoder("utf-8").decode(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

function splitRecord(record: string, delimiter: string): string[] {
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < record.length; i++) {
    const character = record.charAt(i);
    if (character === '"' && quoted && record.charAt(i + 1) === '"') {
      field += '"';
      i++;
    } else if (character === '"') quoted = !quoted;
    else if (character === delimiter && !quoted) {
      fields.push(field);
      field = "";
    } else field += character;
  }
  fields.push(field);
  return fields;
}

import { open } from "node:fs/promises";
import path from "node:path";
import { type DuckDb, quoteText } from "../../../shared/duckdb/index.ts";
import { invalid } from "../../../shared/errors.ts";
import { asUtf8 } from "../dialect/encoding.ts";
import type { Findings, ReadOptions } from "../schemas.ts";
import { countRecords } from "./csv-records.ts";
import { settleTypes } from "./text-types.ts";

/**
 * CSV as RFC 4180 has it, with a header, into Parquet. DuckDB's own detection of dialect and types is not used: it
 * drops the rows that do not fit its guess (`a,b⏎1,2⏎3,4,5` becomes one row of three columns), and takes types from the
 * first rows only. Here every row is read as text under the header's columns, and a column's type is the narrowest that
 * all of its values have.
 *
 * @returns how the file was understood, and notes on columns whose type a few values decided
 */
export async function csvToParquet(
  duckDb: DuckDb,
  uploaded: string,
  options: ReadOptions,
  target: string,
  scratchDirectory: string,
): Promise<{ readonly notes: readonly string[]; readonly findings: Omit<Findings, "compression"> }> {
  const { file, encoding } = await asUtf8(uploaded, scratchDirectory);
  const { delimiter, names } = await readHeader(file, options.delimiter);
  const records = await countRecords(file, delimiter, names.length);
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
  const [read] = await duckDb.rows(`select count(*) as n from read_parquet(${quoteText(texts)})`);
  if (Number(read?.n) !== records - 1) {
    throw invalid(
      `The file cannot be read as CSV: only ${read?.n} of its ${records - 1} rows could be read; are the quotes right?`,
    );
  }
  const { notes, findings } = await settleTypes(duckDb, texts, names, target, {
    spellings: true,
    // Where a comma separates fields, a number with one is more likely to be quoted thousands.
    decimalCommas: delimiter !== ",",
  });
  return { notes, findings: { encoding, delimiter, columns: findings } };
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

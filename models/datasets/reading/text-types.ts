import { type DuckDb, quoteName, quoteText } from "../../../shared/duckdb/index.ts";
import { missingSpellings } from "../dialect/findings.ts";
import type { ColumnFinding } from "../schemas.ts";

/** What is tried beyond types, with each value that stands for a missing one left aside. */
export interface TextRules {
  /** The types to try, all by default. */
  readonly candidates?: readonly TextType[];
  /** Whether the usual spellings of a missing value are taken for one in columns that are no text otherwise. */
  readonly spellings?: boolean;
  readonly decimalCommas?: boolean;
}

export interface Settled {
  /** On columns that a few values keep from a type. */
  readonly notes: string[];
  readonly findings: ColumnFinding[];
}

type TextType = "BIGINT" | "DOUBLE" | "BOOLEAN" | "DATE" | "TIMESTAMP" | "VARCHAR";

/**
 * Writes a Parquet file again with each of the named text columns in the narrowest type that all of its values have.
 *
 */
export async function settleTypes(
  duckDb: DuckDb,
  texts: string,
  names: readonly string[],
  target: string,
  rules: TextRules = {},
): Promise<Settled> {
  const casts: string[] = [];
  const notes: string[] = [];
  const findings: ColumnFinding[] = [];
  for (const name of names) {
    const { type, note, missing, decimalComma } = await inferType(duckDb, texts, name, rules);
    if (note !== undefined) notes.push(note);
    if (type === "VARCHAR") continue;
    const column = quoteName(name);
    const present = missing ? `case when ${isMissing(column)} then null else ${column} end` : column;
    const value = decimalComma ? `replace(${present}, ',', '.')` : present;
    casts.push(`${castTo(type, value)} as ${column}`);
    if (missing) findings.push(await spellingsOf(duckDb, texts, name));
    if (decimalComma) findings.push({ kind: "decimal comma", column: name });
  }
  const columns = casts.length === 0 ? "*" : `* replace (${casts.join(", ")})`;
  await duckDb.run(
    `copy (select ${columns} from read_parquet(${quoteText(texts)}))
       to ${quoteText(target)} (format parquet, compression zstd)`,
  );
  return { notes, findings };
}

function isMissing(column: string): string {
  return `lower(trim(${column})) in (${missingSpellings.map(quoteText).join(", ")})`;
}

async function spellingsOf(duckDb: DuckDb, texts: string, name: string): Promise<ColumnFinding> {
  const column = quoteName(name);
  const found = await duckDb.rows(
    `select ${column} as text, count(*) as n from read_parquet(${quoteText(texts)})
      where ${isMissing(column)} group by text order by n desc, text limit 20`,
  );
  const spellings = found.map(({ text, n }) => ({ text: String(text), count: Number(n) }));
  return { kind: "missing", column: name, spellings };
}

/** With a comma for a point, or whole; not an identifier of digits that begins with 0. */
function isDecimalComma(column: string): string {
  return `regexp_full_match(${column}, '[+-]?([0-9]+,?[0-9]*|,[0-9]+)([eE][+-]?[0-9]+)?') and not regexp_full_match(${column}, '[+-]?0[0-9]+')`;
}

/** A cast to TIMESTAMP drops an offset without a word; by way of the type with a zone it is applied. */
function castTo(type: TextType, column: string): string {
  const cast = type === "TIMESTAMP" ? `cast(${column} as timestamptz)` : `(${column})`;
  return `cast(${cast} as ${type})`;
}

/**
 * Whether a text is of a type, from the narrowest to the widest. A whole number with a leading zero is an identifier
 * (a postcode) and stays text; dates and times are those of ISO 8601, without an offset read as UTC.
 */
const tests: readonly (readonly [TextType, (text: string) => string])[] = [
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
  ["TIMESTAMP", (text) => `try_cast(${text} as timestamptz) is not null`],
];

/** A column that is of a type but for at most this share of its values deserves a note. */
const nearly = 0.05;

async function inferType(
  duckDb: DuckDb,
  texts: string,
  name: string,
  { candidates, spellings = false, decimalCommas = false }: TextRules,
): Promise<{ type: TextType; note?: string; missing?: boolean; decimalComma?: boolean }> {
  const column = quoteName(name);
  const tried = tests.filter(([type]) => candidates?.includes(type) ?? true);
  const count = async (from: string, more: readonly string[] = []) => {
    const aggregates = tried.map(([type, test]) => `count(*) filter (${test(column)}) as ${type}`);
    const [counts] = await duckDb.rows(
      `select ${["count(*) as n", ...aggregates, ...more].join(", ")} ${from}`,
    );
    return (what: TextType | "n" | "decimal_commas") => Number(counts?.[what] ?? 0);
  };
  const written = `from read_parquet(${quoteText(texts)}, file_row_number = true) where ${column} is not null`;
  const plain = await count(written);
  if (plain("n") === 0) return { type: "VARCHAR" };
  const found = tried.find(([type]) => plain(type) === plain("n"));
  if (found !== undefined) return { type: found[0] };
  // Only what is of no type as it is written is looked at again.
  const from = spellings ? `${written} and not ${isMissing(column)}` : written;
  const commas = decimalCommas ? [`count(*) filter (${isDecimalComma(column)}) as decimal_commas`] : [];
  const stated = spellings || decimalCommas ? await count(from, commas) : plain;
  const present = stated("n");
  const missing = present < plain("n");
  if (present === 0) return { type: "VARCHAR" };
  const apart = missing ? tried.find(([type]) => stated(type) === present) : undefined;
  if (apart !== undefined) return { type: apart[0], missing };
  if (stated("decimal_commas") === present) return { type: "DOUBLE", missing, decimalComma: true };
  const almost = tried.filter(([type]) => stated(type) >= present * (1 - nearly)).at(-1);
  if (almost === undefined) return { type: "VARCHAR" };
  const [type, test] = almost;
  const [first] = await duckDb.rows(
    `select ${column} as value, file_row_number + 1 as row ${from} and not (${test(column)}) order by file_row_number limit 1`,
  );
  const others = present - stated(type);
  const note =
    `Column "${name}" is text: ${others} of its ${present} values ${others === 1 ? "is" : "are"} not of type ${type}, ` +
    `first ${JSON.stringify(String(first?.value).slice(0, 50))} in row ${first?.row}. nullText tells what stands for a missing value.`;
  return { type: "VARCHAR", note };
}

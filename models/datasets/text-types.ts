import { type DuckDb, quoteName, quoteText } from "../../shared/duckdb/index.ts";

type TextType = "BIGINT" | "DOUBLE" | "BOOLEAN" | "DATE" | "TIMESTAMP" | "VARCHAR";

/**
 * Writes a Parquet file again with each of the named text columns in the narrowest type that all of its values have.
 *
 * @param candidates the types to try, all by default
 * @returns notes on columns that a few values keep from a type
 */
export async function settleTypes(
  duckDb: DuckDb,
  texts: string,
  names: readonly string[],
  target: string,
  candidates: readonly TextType[] = tests.map(([type]) => type),
): Promise<string[]> {
  const casts: string[] = [];
  const notes: string[] = [];
  for (const name of names) {
    const { type, note } = await inferType(duckDb, texts, name, candidates);
    if (type !== "VARCHAR") casts.push(`${castTo(type, quoteName(name))} as ${quoteName(name)}`);
    if (note !== undefined) notes.push(note);
  }
  const columns = casts.length === 0 ? "*" : `* replace (${casts.join(", ")})`;
  await duckDb.run(
    `copy (select ${columns} from read_parquet(${quoteText(texts)}))
       to ${quoteText(target)} (format parquet, compression zstd)`,
  );
  return notes;
}

/** A cast to TIMESTAMP drops an offset without a word; by way of the type with a zone it is applied. */
function castTo(type: TextType, column: string): string {
  const cast = type === "TIMESTAMP" ? `cast(${column} as timestamptz)` : column;
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
  candidates: readonly TextType[],
): Promise<{ type: TextType; note?: string }> {
  const column = quoteName(name);
  const tried = tests.filter(([type]) => candidates.includes(type));
  const aggregates = tried.map(([type, test]) => `count(*) filter (${test(column)}) as ${type}`);
  const from = `from read_parquet(${quoteText(texts)}, file_row_number = true) where ${column} is not null`;
  const [counts] = await duckDb.rows(`select count(*) as n, ${aggregates.join(", ")} ${from}`);
  const present = Number(counts?.n);
  if (present === 0) return { type: "VARCHAR" };
  const countOf = (type: TextType) => Number(counts?.[type]);
  const found = tried.find(([type]) => countOf(type) === present);
  if (found !== undefined) return { type: found[0] };
  const almost = tried.filter(([type]) => countOf(type) >= present * (1 - nearly)).at(-1);
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

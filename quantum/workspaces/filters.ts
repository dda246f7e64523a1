import { invalid } from "../../shared/errors.ts";

/** A condition of the data plane's `filter`: a few comparisons joined by `and` and `or`. */
export type Filter =
  | { readonly kind: "and" | "or"; readonly all: readonly Filter[] }
  | { readonly kind: "startswith"; readonly column: TextColumn; readonly text: string }
  | { readonly kind: "equals"; readonly column: TextColumn; readonly text: string }
  /** Times in milliseconds; `atLeast` includes its bound, `below` does not. */
  | { readonly kind: "created"; readonly atLeastMs?: number; readonly belowMs?: number };

export type TextColumn = "name" | "item_type" | "job_type" | "provider_id" | "target" | "state";
export type OrderColumn = TextColumn | "created_ms";

const columns: ReadonlyMap<string, OrderColumn> = new Map<string, OrderColumn>([
  ["name", "name"],
  ["itemtype", "item_type"],
  ["jobtype", "job_type"],
  ["providerid", "provider_id"],
  ["target", "target"],
  ["state", "state"],
  ["creationtime", "created_ms"],
]);
const names = "Name, ItemType, JobType, ProviderId, Target, State, CreationTime";

/**
 * Reads `startswith(Name, 'bell') and (State eq 'Failed' or State eq 'Cancelled') and CreationTime ge 2026-01-05`.
 * `le` with a date takes in that whole day: clients send no time of day.
 *
 * @throws invalid naming the position of what is not understood
 */
export function parseFilter(text: string): Filter {
  const reader: Reader = { text, tokens: tokenise(text), at: 0, depth: 0 };
  const filter = readOr(reader);
  const rest = reader.tokens[reader.at];
  if (rest !== undefined) throw wrong(reader, "`and`, `or` or the end");
  return filter;
}

/** @throws invalid for another property or direction */
export function parseOrder(text: string): { readonly column: OrderColumn; readonly descending: boolean } {
  const [, name = "", direction = "asc"] = /^\s*(\w+)(?:\s+(asc|desc))?\s*$/i.exec(text) ?? [];
  const column = columns.get(name.toLowerCase());
  if (column === undefined) {
    throw invalid(`orderby is "${text}"; it takes one of ${names}, with asc or desc.`, { field: "orderby" });
  }
  return { column, descending: direction.toLowerCase() === "desc" };
}

interface Token {
  readonly kind: "word" | "text" | "sign";
  readonly text: string;
  readonly at: number;
}

interface Reader {
  readonly text: string;
  readonly tokens: readonly Token[];
  at: number;
  depth: number;
}

/** Of parentheses; SQLite takes expressions of 1,000 levels. */
const maxLevels = 50;

function tokenise(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const pattern = /\s+|'((?:[^']|'')*)'|([(),])|([\w.:+-]+)/y;
  for (let at = 0; at < text.length; at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) {
      throw invalid(
        `The filter "${text}" is not understood at position ${at + 1}: "${text.slice(at, at + 20)}".`,
      );
    }
    if (match[1] !== undefined) tokens.push({ kind: "text", text: match[1].replaceAll("''", "'"), at });
    else if (match[2] !== undefined) tokens.push({ kind: "sign", text: match[2], at });
    else if (match[3] !== undefined) tokens.push({ kind: "word", text: match[3], at });
  }
  return tokens;
}

function readOr(reader: Reader): Filter {
  const all = [readAnd(reader)];
  while (takeWord(reader, "or")) all.push(readAnd(reader));
  const [only] = all;
  return all.length === 1 && only !== undefined ? only : { kind: "or", all };
}

function readAnd(reader: Reader): Filter {
  const all = [readCondition(reader)];
  while (takeWord(reader, "and")) all.push(readCondition(reader));
  const [only] = all;
  return all.length === 1 && only !== undefined ? only : { kind: "and", all };
}

function readCondition(reader: Reader): Filter {
  if (takeSign(reader, "(")) {
    if (++reader.depth > maxLevels) {
      throw invalid(`The filter has more than ${maxLevels} parentheses within each other.`, {
        field: "filter",
      });
    }
    const inner = readOr(reader);
    reader.depth--;
    if (!takeSign(reader, ")")) throw wrong(reader, "`)`");
    return inner;
  }
  if (takeWord(reader, "startswith")) {
    if (!takeSign(reader, "(")) throw wrong(reader, "`(`");
    const column = readColumn(reader);
    if (column === "created_ms" || !takeSign(reader, ",")) throw wrong(reader, "a text property and `,`");
    const text = readText(reader);
    if (!takeSign(reader, ")")) throw wrong(reader, "`)`");
    return { kind: "startswith", column, text };
  }
  const column = readColumn(reader);
  if (column !== "created_ms") {
    if (!takeWord(reader, "eq")) throw wrong(reader, "`eq`");
    return { kind: "equals", column, text: readText(reader) };
  }
  if (takeWord(reader, "ge")) return { kind: "created", atLeastMs: readTime(reader).startMs };
  if (takeWord(reader, "le")) return { kind: "created", belowMs: readTime(reader).endMs };
  throw wrong(reader, "`ge` or `le`");
}

function readColumn(reader: Reader): OrderColumn {
  const token = reader.tokens[reader.at];
  const column = token?.kind === "word" ? columns.get(token.text.toLowerCase()) : undefined;
  if (column === undefined) throw wrong(reader, `one of ${names}`);
  reader.at += 1;
  return column;
}

function readText(reader: Reader): string {
  const token = reader.tokens[reader.at];
  if (token?.kind !== "text") throw wrong(reader, "text in single quotes");
  reader.at += 1;
  return token.text;
}

const dayMs = 24 * 3600_000;

/** A day, or a moment; the end is the first millisecond after it. */
function readTime(reader: Reader): { readonly startMs: number; readonly endMs: number } {
  const token = reader.tokens[reader.at];
  const startMs = token === undefined || token.kind === "sign" ? Number.NaN : Date.parse(token.text);
  if (token === undefined || Number.isNaN(startMs)) throw wrong(reader, "a date such as 2026-01-05");
  reader.at += 1;
  return { startMs, endMs: startMs + (/^\d{4}-\d\d-\d\d$/.test(token.text) ? dayMs : 1) };
}

function takeWord(reader: Reader, word: string): boolean {
  const token = reader.tokens[reader.at];
  if (token?.kind !== "word" || token.text.toLowerCase() !== word) return false;
  reader.at += 1;
  return true;
}

function takeSign(reader: Reader, sign: string): boolean {
  const token = reader.tokens[reader.at];
  if (token?.kind !== "sign" || token.text !== sign) return false;
  reader.at += 1;
  return true;
}

function wrong({ text, tokens, at }: Reader, expected: string) {
  const position = tokens[at]?.at ?? text.length;
  return invalid(
    `The filter "${text}" is not understood at position ${position + 1}: ${expected} was expected.`,
    {
      field: "filter",
    },
  );
}

import { type CompareSign, clauseError, type Token, tokenize } from "./tokens.ts";

/**
 * The grammar of MLflow's search filters:
 *
 * ```
 * filter     = [ comparison { AND comparison } ]
 * comparison = field ( sign value | [NOT] LIKE-ish value | [NOT] IN list | IS [NOT] NULL )
 * field      = [ prefix "." ] key          a key may be quoted by backticks or double quotes
 * value      = number | 'text' | "text"
 * list       = "(" [ 'text' { "," 'text' } [ "," ] ] ")"
 * ```
 *
 * There is no OR and no grouping.
 */
export interface Clause {
  /** The word before the first dot; undefined for a bare key, which is an attribute. */
  readonly prefix: string | undefined;
  readonly key: string;
  readonly operator: Operator;
  readonly value: Value | null;
  /** Offsets into the filter, for messages. */
  readonly at: number;
  readonly valueAt: number;
}

export type Operator = CompareSign | "LIKE" | "ILIKE" | "IN" | "NOT IN" | "IS NULL" | "IS NOT NULL";

export type Value =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "number"; readonly number: number; readonly isInteger: boolean }
  | { readonly kind: "list"; readonly texts: readonly string[] };

/** More than any person writes, and below what SQLite's expression depth allows. */
const maxClauses = 100;

/** @throws invalid, with the position, for anything that is not the grammar. */
export function parseFilter(source: string): Clause[] {
  const cursor = new Cursor(source, tokenize(source));
  if (cursor.isAtEnd) return [];
  const clauses = [clause(cursor)];
  while (!cursor.isAtEnd) {
    if (!cursor.takeWord("AND"))
      throw cursor.error("Only AND joins comparisons; OR and parentheses are not known.");
    clauses.push(clause(cursor));
    if (clauses.length > maxClauses) throw cursor.error(`A filter has at most ${maxClauses} comparisons.`);
  }
  return clauses;
}

function clause(cursor: Cursor): Clause {
  const at = cursor.offset;
  const { prefix, key } = field(cursor);
  const operator = operatorOf(cursor);
  const valueAt = cursor.offset;
  const value =
    operator === "IS NULL" || operator === "IS NOT NULL"
      ? null
      : operator === "IN" || operator === "NOT IN"
        ? listOf(cursor)
        : literal(cursor);
  return { prefix, key, operator, value, at, valueAt };
}

function field(cursor: Cursor): { prefix: string | undefined; key: string } {
  const first = cursor.takeName();
  if (first === undefined)
    throw cursor.error("The name of a field is expected, such as metrics.accuracy or status.");
  if (!cursor.takeMark(".")) return { prefix: undefined, key: first };
  const parts: string[] = [];
  do {
    const part = cursor.takeName();
    if (part === undefined) throw cursor.error("A key is expected after the dot.");
    parts.push(part);
  } while (cursor.takeMark("."));
  return { prefix: first, key: parts.join(".") };
}

function operatorOf(cursor: Cursor): Operator {
  const sign = cursor.takeSign();
  if (sign !== undefined) return sign;
  if (cursor.takeWord("LIKE")) return "LIKE";
  if (cursor.takeWord("ILIKE")) return "ILIKE";
  if (cursor.takeWord("IN")) return "IN";
  if (cursor.takeWord("NOT")) {
    if (cursor.takeWord("IN")) return "NOT IN";
    throw cursor.error("IN is expected after NOT.");
  }
  if (cursor.takeWord("IS")) {
    const negated = cursor.takeWord("NOT");
    if (cursor.takeWord("NULL")) return negated ? "IS NOT NULL" : "IS NULL";
    throw cursor.error("NULL or NOT NULL is expected after IS.");
  }
  throw cursor.error(
    "An operator is expected: = != < <= > >= LIKE ILIKE IN, NOT IN, IS NULL or IS NOT NULL.",
  );
}

function literal(cursor: Cursor): Value {
  const token = cursor.take();
  if (token?.kind === "number") {
    return { kind: "number", number: token.number, isInteger: /^[+-]?\d+$/.test(token.text) };
  }
  if (token?.kind === "quoted" && token.quote !== "`") return { kind: "text", text: token.text };
  throw cursor.errorAt(
    token,
    "Parameter value is either not quoted or unidentified quote types used for string value. A number or a text in single or double quotes is expected.",
  );
}

function listOf(cursor: Cursor): Value {
  if (!cursor.takeMark("(")) throw cursor.error("A list such as ('a', 'b') is expected.");
  const texts: string[] = [];
  // Python writes a tuple of one with a comma behind, and an empty one with nothing.
  while (!cursor.isAtMark(")")) {
    const token = cursor.take();
    if (token?.kind !== "quoted" || token.quote === "`") {
      throw cursor.errorAt(token, "A text in quotes is expected in the list.");
    }
    texts.push(token.text);
    if (!cursor.takeMark(",")) break;
  }
  if (!cursor.takeMark(")")) throw cursor.error("A comma or the list's closing parenthesis is expected.");
  return { kind: "list", texts };
}

class Cursor {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(source: string, tokens: readonly Token[]) {
    this.#source = source;
    this.#tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  get offset(): number {
    return this.#tokens[this.#at]?.start ?? this.#source.length;
  }

  take(): Token | undefined {
    return this.#tokens[this.#at++];
  }

  takeWord(word: string): boolean {
    return this.#takeIf((token) => token.kind === "word" && token.text.toUpperCase() === word) !== undefined;
  }

  takeMark(mark: "(" | ")" | "," | "."): boolean {
    return this.#takeIf((token) => token.kind === "mark" && token.text === mark) !== undefined;
  }

  isAtMark(mark: ")"): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === "mark" && token.text === mark;
  }

  takeName(): string | undefined {
    return this.#takeIf((token) => token.kind === "word" || (token.kind === "quoted" && token.quote !== "'"))
      ?.text;
  }

  takeSign(): CompareSign | undefined {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "operator") return undefined;
    this.#at++;
    return token.text;
  }

  error(problem: string) {
    return clauseError(this.#source, this.offset, problem);
  }

  errorAt(token: Token | undefined, problem: string) {
    return clauseError(this.#source, token?.start ?? this.#source.length, problem);
  }

  #takeIf(isWanted: (token: Token) => boolean): Token | undefined {
    const token = this.#tokens[this.#at];
    if (token === undefined || !isWanted(token)) return undefined;
    this.#at++;
    return token;
  }
}

import { invalid } from "../../errors.ts";

/**
 * A piece of a filter string. `start` and `end` are offsets into it; messages show positions from 1.
 *
 * - word: letters, digits and underscores (after a dot also with a digit first)
 * - quoted: between backticks, single or double quotes; a doubled quote inside stands for one
 */
export type Token =
  | { readonly kind: "word"; readonly text: string; readonly start: number; readonly end: number }
  | {
      readonly kind: "quoted";
      readonly text: string;
      readonly quote: Quote;
      readonly start: number;
      readonly end: number;
    }
  | {
      readonly kind: "number";
      readonly text: string;
      readonly number: number;
      readonly start: number;
      readonly end: number;
    }
  | {
      readonly kind: "operator";
      readonly text: CompareSign;
      readonly start: number;
      readonly end: number;
    }
  | {
      readonly kind: "mark";
      readonly text: "(" | ")" | "," | ".";
      readonly start: number;
      readonly end: number;
    };

export type Quote = "`" | "'" | '"';
export type CompareSign = "=" | "!=" | "<" | "<=" | ">" | ">=";

const space = /\s+/y;
const word = /\w+/y;
const number = /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const sign = /!=|<=|>=|<>|==|=|<|>/y;

/** @throws invalid for a character that no token starts with, or a quote without an end. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const push = (token: Token): void => {
    tokens.push(token);
    at = token.end;
  };
  while (at < source.length) {
    const blank = match(space);
    if (blank !== undefined) {
      at += blank.length;
      continue;
    }
    const char = source.charAt(at);
    const before = tokens.at(-1);
    const touches = before?.end === at;
    const afterDot = touches && before.kind === "mark" && before.text === ".";
    if (char === "'" || char === '"' || char === "`") {
      push(quoted(source, at, char));
      continue;
    }
    if (char === "." && touches && (before.kind === "word" || before.kind === "quoted")) {
      push({ kind: "mark", text: char, start: at, end: at + 1 });
      continue;
    }
    const digits = afterDot ? undefined : match(number);
    if (digits !== undefined) {
      push({ kind: "number", text: digits, number: Number(digits), start: at, end: at + digits.length });
      continue;
    }
    const letters = match(word);
    if (letters !== undefined) {
      push({ kind: "word", text: letters, start: at, end: at + letters.length });
      continue;
    }
    const compare = match(sign);
    if (compare !== undefined) {
      const text = compare === "<>" ? "!=" : compare === "==" ? "=" : (compare as CompareSign);
      push({ kind: "operator", text, start: at, end: at + compare.length });
      continue;
    }
    if (char === "(" || char === ")" || char === ",") {
      push({ kind: "mark", text: char, start: at, end: at + 1 });
      continue;
    }
    throw clauseError(
      source,
      at,
      `'${char}' is not understood there. Put keys with such characters in backticks.`,
    );
  }
  return tokens;
}

function quoted(source: string, start: number, quote: Quote): Token {
  let text = "";
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] !== quote) text += source[at];
    else if (source[at + 1] === quote) {
      text += quote;
      at++;
    } else return { kind: "quoted", text, quote, start, end: at + 1 };
  }
  throw clauseError(source, start, `The quote ${quote} is opened there and never closed.`);
}

/** An error at a place of a filter, beginning as MLflow's does. */
export function clauseError(source: string, at: number, problem: string) {
  const rest = source.slice(at).trim().slice(0, 80);
  const shown = rest === "" ? "the end" : `'${rest}'`;
  return invalid(`Invalid clause(s) in filter string: ${shown} at position ${at + 1}. ${problem}`, {
    field: "filter",
  });
}

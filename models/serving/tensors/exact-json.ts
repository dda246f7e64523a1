import { invalid, isKetlineError } from "../../../shared/errors.ts";
import { parseJson } from "../../../shared/http/index.ts";

/** What `parseExactJson` gives: JSON's values, with a bigint for each integer that a double cannot hold. */
export type ExactJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly ExactJson[]
  | { readonly [key: string]: ExactJson };

const maxDepth = 64;

/**
 * Parses JSON as Python writes it: besides the grammar of RFC 8259 it takes the tokens `NaN`, `Infinity` and
 * `-Infinity`, and it reads integers beyond 2^53 as bigints. Several times slower than `JSON.parse`, which is tried first
 * wherever it is enough.
 *
 * @throws invalid with the position of what cannot be read
 */
export function parseExactJson(text: string): ExactJson {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

/** Parses with `parseJson`, and only where that fails as Python's JSON. Large integers may lose digits. */
export function parseTolerantJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (isKetlineError(error)) throw error;
    return parseExactJson(text);
  }
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): ExactJson {
    if (depth > maxDepth) throw this.#wrong(`nested deeper than ${maxDepth} levels`);
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
      default:
        return this.#word();
    }
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) throw this.#wrong("something follows the end of the value");
  }

  #object(depth: number): ExactJson {
    const entries: [string, ExactJson][] = [];
    this.#at++;
    if (this.#take("}")) return {};
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#wrong("a key in double quotes is missing");
      const key = this.#string();
      if (!this.#take(":")) throw this.#wrong("a colon is missing");
      entries.push([key, this.value(depth + 1)]);
    } while (this.#take(","));
    if (!this.#take("}")) throw this.#wrong("a comma or } is missing");
    return Object.fromEntries(entries);
  }

  #array(depth: number): ExactJson {
    const items: ExactJson[] = [];
    this.#at++;
    if (this.#take("]")) return items;
    do items.push(this.value(depth + 1));
    while (this.#take(","));
    if (!this.#take("]")) throw this.#wrong("a comma or ] is missing");
    return items;
  }

  #string(): string {
    const pattern = /"[^"\\]*(?:\\.[^"\\]*)*"/sy;
    pattern.lastIndex = this.#at;
    const token = pattern.exec(this.#text)?.[0];
    if (token === undefined) throw this.#wrong("a string is not closed");
    try {
      const text = JSON.parse(token) as string;
      this.#at += token.length;
      return text;
    } catch {
      throw this.#wrong("a string has an escape or a control character that JSON does not have");
    }
  }

  #word(): ExactJson {
    const pattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|true|false|null|NaN|-?Infinity/y;
    pattern.lastIndex = this.#at;
    const token = pattern.exec(this.#text)?.[0];
    if (token === undefined) throw this.#wrong("a value is missing or not JSON");
    this.#at += token.length;
    if (token === "true") return true;
    if (token === "false") return false;
    if (token === "null") return null;
    const number = Number(token);
    return Number.isInteger(number) && !Number.isSafeInteger(number) && /^-?\d+$/.test(token)
      ? BigInt(token)
      : number;
  }

  #take(sign: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== sign) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #wrong(what: string) {
    const near = this.#text.slice(this.#at, this.#at + 20);
    return invalid(`The body is not JSON: at position ${this.#at} (${JSON.stringify(near)}), ${what}.`);
  }
}

import { invalid } from "../errors.ts";

/** Deeper than anything that is asked for here, and far from where a walk through it would meet the stack's end. */
const mostLevels = 64;

/**
 * Parses JSON of strangers. Whatever walks through the value afterwards may do so by recursion: `JSON.parse` itself reads
 * hundreds of thousands of levels.
 *
 * @throws SyntaxError for what is not JSON
 * @throws invalid for what nests too deep
 */
export function parseJson(text: string): unknown {
  if (text.length > mostLevels && isDeep(text)) {
    throw invalid(`The JSON is nested deeper than ${mostLevels} levels.`);
  }
  return JSON.parse(text);
}

/** Counts brackets outside of strings; what is not JSON may come out either way. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at + 1);
        if (at < 0) return false;
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > mostLevels) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
    }
  }
  return false;
}

/** @returns where the quotation mark stands that ends it; -1 for none */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start);
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

/** Behind an odd number of backslashes. */
function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text.charCodeAt(first - 1) === 0x5c) first--;
  return (at - first) % 2 === 1;
}

/**
 * Finds a text that no database would keep: PostgreSQL stores neither the character NUL nor half of a surrogate pair, and
 * SQLite gives back something else.
 *
 * @returns where it stands, e.g. `tags[3].value`; undefined when there is none
 */
export function unstorableAt(value: unknown, path = ""): string | undefined {
  if (typeof value === "string") return isStorable(value) ? undefined : path;
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const found = unstorableAt(item, `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  for (const [key, item] of Object.entries(value)) {
    if (!isStorable(key)) return path === "" ? "a key" : `a key of ${path}`;
    const found = unstorableAt(item, path === "" ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function isStorable(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

/**
 * Parses JSON whose texts and keys will be stored.
 *
 * @throws invalid for a text that cannot be stored, and for a key called `__proto__`: what is copied key by key
 * (by zod, too) loses it without a word.
 */
export function parseStorableJson(text: string): unknown {
  const value = parseJson(text);
  // Only an escape can bring such a text into JSON, and hide such a key.
  const hasEscapes = text.includes("\\u");
  if (hasEscapes) {
    const at = unstorableAt(value);
    if (at !== undefined) throw unstorable(at);
  }
  if ((hasEscapes || text.includes("__proto__")) && hasProtoKey(value)) {
    throw invalid("The body has a key called __proto__, which cannot be kept; another name would be right.");
  }
  return value;
}

function hasProtoKey(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "__proto__") || Object.values(value).some(hasProtoKey);
}

export function unstorable(where: string) {
  return invalid(
    `${where === "" ? "The body" : where} holds the character NUL (U+0000) or half of a surrogate pair; text without them is right.`,
    where === "" ? {} : { field: where },
  );
}

import { invalid } from "../errors.ts";

/** Deeper than anything that is asked for here, and far from where a walk through it would meet the stack's end. */
const maxLevels = 64;

/**
 * Parses JSON of strangers. Whatever walks through the value afterwards may do so by recursion: `JSON.parse` itself reads
 * hundreds of thousands of levels.
 *
 * @throws SyntaxError for what is not JSON
 * @throws invalid for what nests too deep
 */
export function parseJson(text: string): unknown {
  if (text.length > maxLevels && isDeep(text)) {
    throw invalid(`The JSON is nested deeper than ${maxLevels} levels.`);
  }
  return JSON.parse(text);
}

/** Counts brackets outside of strings; what is not JSON may come out either way. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      // In one loop on purpose: a search for the end of each string costs as much as parsing.
      for (at++; at < text.length; at++) {
        const inside = text.charCodeAt(at);
        if (inside === 0x22) break;
        if (inside === 0x5c) at++; // a backslash, and what it escapes
      }
    } else if (code >= 0x5b && (code & 0x5f) === 0x5b) {
      if (++depth > maxLevels) return true; // [ or {
    } else if (code >= 0x5d && (code & 0x5f) === 0x5d) depth--; // ] or }
  }
  return false;
}

/**
 * Finds a text that no database would keep: PostgreSQL stores neither the character NUL nor half of a surrogate pair, and
 * SQLite gives back something else.
 *
 * @returns where it stands, e.g. `tags[3].value`; undefined when there is none
 */
export function unstorableAt(value: unknown): string | undefined {
  const steps = stepsToUnstorable(value);
  return steps?.reverse().join("").replace(/^\./, "");
}

/** From the inside out: most values are in order, and their places need not be written. */
function stepsToUnstorable(value: unknown): string[] | undefined {
  if (typeof value === "string") return isStorable(value) ? undefined : [];
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const steps = stepsToUnstorable(value[index]);
      if (steps !== undefined) return [...steps, `[${index}]`];
    }
    return undefined;
  }
  for (const [key, item] of Object.entries(value)) {
    if (!isStorable(key)) return [".<a key>"];
    const steps = stepsToUnstorable(item);
    if (steps !== undefined) return [...steps, `.${key}`];
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

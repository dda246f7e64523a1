/**
 * Values as the Q# simulator prints them: `[One, Zero]`, `(Zero, 3, true)`, `Loss`, `1.5`, `PauliX`, `1..2..5`. Strings
 * are printed without quotes, so whatever does not read as one of the others is text.
 */
export type QsharpValue =
  | { readonly kind: "result"; readonly value: "Zero" | "One" | "Loss" }
  | { readonly kind: "bool"; readonly value: boolean }
  /** Kept as text: a BigInt has any number of digits. */
  | { readonly kind: "int"; readonly text: string }
  | { readonly kind: "double"; readonly value: number }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "tuple"; readonly items: readonly QsharpValue[] }
  | { readonly kind: "array"; readonly items: readonly QsharpValue[] };

/** Reads one printed value. Never throws: what cannot be read otherwise is one text. */
export function parseQsharpValue(source: string): QsharpValue {
  const text = source.trim();
  const reader: Reader = { text, at: 0, depth: 0 };
  const value = readValue(reader);
  skipSpace(reader);
  return value !== undefined && reader.at === text.length ? value : { kind: "text", text };
}

/**
 * The name of an outcome in histograms and in declared expectations: bits where there are only measurement results
 * (`[One, Zero]` is `10`, `([Zero, One], One)` is `01 1`, a lost qubit is `-`), otherwise the value as Q# prints it.
 * Zeros and ones may be written either way, so `[1, 0]`, `(One, Zero)`, `|10⟩` and `10` all name the same outcome.
 */
export function outcomeLabel(source: string): string {
  const ket = /^\s*\|([01-]+)[⟩>]\s*$/.exec(source);
  if (ket?.[1] !== undefined) return ket[1];
  const value = parseQsharpValue(source);
  return bitsOf(value) ?? wordsOf(value) ?? display(value);
}

/** The value as JSON in the manner of microsoft.quantum-results.v2: results as 0 and 1, tuples as `Item1`, `Item2`. */
export function resultJson(value: QsharpValue): unknown {
  switch (value.kind) {
    case "result":
      return value.value === "Loss" ? "-" : value.value === "One" ? 1 : 0;
    case "bool":
      return value.value;
    case "int": {
      const number = Number(value.text);
      return Number.isSafeInteger(number) ? number : value.text;
    }
    case "double":
      return Number.isFinite(value.value) ? value.value : String(value.value);
    case "text":
      return value.text;
    case "array":
      return value.items.map(resultJson);
    case "tuple":
      return Object.fromEntries(value.items.map((item, index) => [`Item${index + 1}`, resultJson(item)]));
  }
}

/** The value for people, results as 0 and 1: `([0, 1], 3)`. */
export function display(value: QsharpValue): string {
  switch (value.kind) {
    case "result":
      return value.value === "Loss" ? "-" : value.value === "One" ? "1" : "0";
    case "bool":
      return String(value.value);
    case "int":
    case "text":
      return value.text;
    case "double":
      return String(value.value);
    case "array":
      return `[${value.items.map(display).join(", ")}]`;
    case "tuple":
      return `(${value.items.map(display).join(", ")})`;
  }
}

/** A result, or a row of results; integers 0 and 1 inside a row count as results. */
function bitsOf(value: QsharpValue): string | undefined {
  if (value.kind === "result") return display(value);
  if ((value.kind !== "array" && value.kind !== "tuple") || value.items.length === 0) return undefined;
  let bits = "";
  for (const item of value.items) {
    if (item.kind === "result") bits += display(item);
    else if (item.kind === "int" && (item.text === "0" || item.text === "1")) bits += item.text;
    else return undefined;
  }
  return bits;
}

/** Several rows of results, each a word. */
function wordsOf(value: QsharpValue): string | undefined {
  if (value.kind !== "array" && value.kind !== "tuple") return undefined;
  const words: string[] = [];
  for (const item of value.items) {
    const word = item.kind === "int" && /^[01]$/.test(item.text) ? item.text : bitsOf(item);
    if (word === undefined) return undefined;
    words.push(word);
  }
  return words.length === 0 ? undefined : words.join(" ");
}

interface Reader {
  readonly text: string;
  at: number;
  depth: number;
}

/** Deeper than any sensible result; recursion on hostile text stops here. */
const maxDepth = 100;

function readValue(reader: Reader): QsharpValue | undefined {
  skipSpace(reader);
  const open = reader.text[reader.at];
  if (open === "[") return readItems(reader, "array", "]");
  if (open === "(") return readItems(reader, "tuple", ")");
  return readAtom(reader);
}

function readItems(reader: Reader, kind: "array" | "tuple", close: string): QsharpValue | undefined {
  reader.depth += 1;
  if (reader.depth > maxDepth) return undefined;
  reader.at += 1;
  const items: QsharpValue[] = [];
  for (;;) {
    skipSpace(reader);
    if (reader.text[reader.at] === close) break;
    const item = readValue(reader);
    if (item === undefined) return undefined;
    items.push(item);
    skipSpace(reader);
    if (reader.text[reader.at] === ",") reader.at += 1;
    else if (reader.text[reader.at] !== close) return undefined;
  }
  reader.at += 1;
  reader.depth -= 1;
  return { kind, items };
}

function readAtom(reader: Reader): QsharpValue | undefined {
  const start = reader.at;
  while (reader.at < reader.text.length && !",[]()".includes(reader.text[reader.at] ?? "")) reader.at += 1;
  const text = reader.text.slice(start, reader.at).trim();
  if (text === "") return undefined;
  if (text === "Zero" || text === "One" || text === "Loss") return { kind: "result", value: text };
  if (text === "true" || text === "false") return { kind: "bool", value: text === "true" };
  if (/^-?\d+$/.test(text)) return { kind: "int", text };
  if (/^-?\d+\.\d*(e[+-]?\d+)?$/i.test(text)) return { kind: "double", value: Number(text) };
  if (/^-?inf$/.test(text))
    return { kind: "double", value: text === "inf" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY };
  if (text === "NaN") return { kind: "double", value: Number.NaN };
  return { kind: "text", text };
}

function skipSpace(reader: Reader): void {
  while (/\s/.test(reader.text[reader.at] ?? "")) reader.at += 1;
}

import type { Program } from "../programs/program.ts";
import type { SourceFile } from "../programs/source.ts";

/** What a callable takes and gives, as its types are written in Q#. */
export interface Signature {
  readonly parameters: readonly { readonly name: string; readonly type: string }[];
  readonly returns: string;
}

/** A wrong argument; the message names it, its value and what its type takes. */
export class ArgumentMismatch extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ArgumentMismatch";
  }
}

/** Reads `operation Rotate(theta : Double, n : Int) : Result` as the compiler writes it. */
export function parseSignature(text: string): Signature | undefined {
  const head = /^(?:operation|function)\s+[\w.]+(?:<[^>]*>)?\s*\(/.exec(text);
  if (head === null) return undefined;
  const close = closingOf(text, head[0].length - 1);
  const returns = /^\s*:\s*(.+?)(?:\s+is\s+[A-Za-z+*() ]+)?\s*$/.exec(text.slice(close + 1))?.[1];
  if (close < 0 || returns === undefined) return undefined;
  const parameters = splitTop(text.slice(head[0].length, close)).map((part) => {
    const colon = part.indexOf(":");
    return { name: part.slice(0, colon).trim(), type: part.slice(colon + 1).trim() };
  });
  return { parameters, returns };
}

/**
 * A call as Q# writes it, each argument in the literal of its parameter's type.
 *
 * @throws ArgumentMismatch
 */
export function callText(callable: string, signature: Signature, given: readonly unknown[]): string {
  const { parameters } = signature;
  if (given.length !== parameters.length) {
    const takes = parameters.map(({ name, type }) => `${name} : ${type}`).join(", ");
    throw new ArgumentMismatch(
      `${callable} takes ${parameters.length} arguments (${takes}); ${given.length} were given.`,
    );
  }
  const texts = parameters.map(({ name, type }, index) => literal(type, given[index], name));
  return `${callable}(${texts.join(", ")})`;
}

/** The program's files without their own entry points, and the namespaces that they declare. */
export function withoutEntryPoints(files: readonly SourceFile[]): readonly SourceFile[] {
  return files.map(({ name, text }) => ({
    name,
    text: text.replace(/@EntryPoint\s*\([^)]*\)/g, (attribute) => " ".repeat(attribute.length)),
  }));
}

/** `import main.*; import Lib.*;`: makes what the program declares known without its namespace. */
export function importsOf(program: Program): string {
  const namespaces = new Set<string>();
  for (const { name, text } of program.files) {
    const code = text.replace(/\/\/[^\n]*/g, "");
    const declared = [...code.matchAll(/\bnamespace\s+([A-Za-z_][\w.]*)\s*\{/g)].map(
      (match) => match[1] ?? "",
    );
    const own = declared.length > 0 ? declared : [name.replace(/\.qs$/, "").replaceAll("/", ".")];
    for (const namespace of own) namespaces.add(namespace);
  }
  return [...namespaces].map((namespace) => `import ${namespace}.*;`).join(" ");
}

function literal(type: string, value: unknown, where: string): string {
  const mismatch = (expected: string) =>
    new ArgumentMismatch(
      `The argument ${where} is ${JSON.stringify(value)}; its type ${type} takes ${expected}.`,
    );
  if (type.endsWith("[]")) {
    if (!Array.isArray(value)) throw mismatch("a list");
    const item = type.slice(0, -2);
    return `[${value.map((one, index) => literal(item, one, `${where}[${index}]`)).join(", ")}]`;
  }
  if (type.startsWith("(") && type.endsWith(")")) {
    const parts = splitTop(type.slice(1, -1));
    if (!Array.isArray(value) || value.length !== parts.length) throw mismatch(`a list of ${parts.length}`);
    return `(${parts.map((part, index) => literal(part.trim(), value[index], `${where}[${index}]`)).join(", ")})`;
  }
  switch (type) {
    case "Double":
      if (typeof value !== "number" || !Number.isFinite(value)) throw mismatch("a number");
      return decimalLiteral(value);
    case "Int":
      if (typeof value !== "number" || !Number.isSafeInteger(value)) throw mismatch("a whole number");
      return String(value);
    case "BigInt":
      if (Number.isSafeInteger(value) || (typeof value === "string" && /^-?\d+$/.test(value)))
        return `${value}L`;
      throw mismatch("a whole number, as text where it is large");
    case "Bool":
      if (typeof value !== "boolean") throw mismatch("true or false");
      return String(value);
    case "String":
      if (typeof value !== "string") throw mismatch("text");
      return quoted(value);
    case "Result":
      if (value === "Zero" || value === 0) return "Zero";
      if (value === "One" || value === 1) return "One";
      throw mismatch('"Zero" or "One"');
    case "Pauli":
      if (typeof value === "string" && /^Pauli[IXYZ]$/.test(value)) return value;
      throw mismatch('"PauliI", "PauliX", "PauliY" or "PauliZ"');
    case "Range":
      if (typeof value === "string" && /^-?\d+\.\.-?\d+(\.\.-?\d+)?$/.test(value)) return value;
      throw mismatch('a range such as "0..4"');
    default:
      throw mismatch("nothing that JSON can say; write the call as an entry expression instead");
  }
}

/** A Double literal; Q# wants the point, and a digit after it where an exponent follows. */
export function decimalLiteral(value: number): string {
  const text = String(value);
  if (text.includes(".")) return text;
  const [mantissa = text, exponent] = text.split("e");
  return exponent === undefined ? `${mantissa}.0` : `${mantissa}.0e${exponent}`;
}

function quoted(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t");
  return `"${escaped}"`;
}

/** Splits at commas outside of brackets. */
function splitTop(text: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if ("([{".includes(character)) depth += 1;
    else if (")]}".includes(character)) depth -= 1;
    else if (character === "," && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  const last = text.slice(start);
  return last.trim() === "" && parts.length === 0 ? [] : [...parts, last];
}

/** The position of the bracket that closes the one at `open`; -1 when there is none. */
function closingOf(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "(") depth += 1;
    else if (text[at] === ")" && --depth === 0) return at;
  }
  return -1;
}

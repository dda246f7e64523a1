import { invalid } from "../../shared/errors.ts";

/** A QIR program as LLVM text, as far as jobs are made of it: functions of blocks of instructions. */
export interface QirModule {
  readonly functions: ReadonlyMap<string, QirFunction>;
  readonly entryPoint: QirFunction;
  /** E.g. `base_profile`; empty where the program does not say. */
  readonly profile: string;
  readonly requiredQubits: number;
  readonly requiredResults: number;
}

export interface QirFunction {
  readonly name: string;
  readonly parameters: readonly { readonly type: string; readonly name: string }[];
  readonly blocks: readonly QirBlock[];
}

export interface QirBlock {
  readonly label: string;
  readonly instructions: readonly QirInstruction[];
}

export interface QirInstruction {
  /** Counts from 1 in the text, for messages. */
  readonly line: number;
  /** The value that it defines, without the percent sign. */
  readonly result: string | undefined;
  /** `call`, `br`, `ret`, `phi`, `icmp`, … */
  readonly operation: string;
  /** What follows the operation. */
  readonly text: string;
}

export interface QirCall {
  readonly callee: string;
  readonly arguments: readonly QirOperand[];
}

/** A typed value as an instruction names it. */
export interface QirOperand {
  readonly type: string;
  readonly value: QirValue;
}

export type QirValue =
  | { readonly kind: "local"; readonly name: string }
  /** Static qubits and results are addresses: `inttoptr (i64 3 to %Qubit*)`; null is the first. */
  | { readonly kind: "address"; readonly index: number }
  | { readonly kind: "int"; readonly text: string }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "double"; readonly value: number }
  /** Labels and whatever else only names something. */
  | { readonly kind: "other"; readonly text: string };

/**
 * Reads QIR in LLVM's text form, with typed pointers (QIR 1) or opaque ones (QIR 2).
 *
 * @param entryPoint the function to run; by default the one with the attribute `entry_point`
 * @throws invalid when it is bitcode, has no entry point, or is not such text
 */
export function parseQir(text: string, entryPoint?: string): QirModule {
  if (text.startsWith("BC") || text.includes("\u0000")) {
    throw invalid(
      "The QIR is bitcode; this target reads QIR as LLVM text (for example from qsharp.compile).",
    );
  }
  const lines = text.split(/\r?\n/);
  const functions = new Map<string, QirFunction & { attributes: string }>();
  for (let at = 0; at < lines.length; at++) {
    const head = /^define\s.*?@("?)([\w.$-]+)\1\((.*)\)([^{]*)\{\s*$/.exec(stripComment(lines[at] ?? ""));
    if (head === null) continue;
    const [, , name = "", parameters = "", attributes = ""] = head;
    const end = lines.findIndex((line, index) => index > at && line.startsWith("}"));
    if (end < 0) throw invalid(`The QIR function ${name} on line ${at + 1} has no end.`);
    const blocks = parseBlocks(lines.slice(at + 1, end), at + 2);
    functions.set(name, { name, parameters: parseParameters(parameters), blocks, attributes });
    at = end;
  }
  const groups = attributeGroups(lines);
  const attributesOf = (attributes: string): string =>
    attributes.replace(/#\d+/g, (reference) => groups.get(reference) ?? "");
  const named = entryPoint === undefined || entryPoint === "" ? undefined : functions.get(entryPoint);
  const marked = [...functions.values()].find(({ attributes }) =>
    /"entry_point"|"EntryPoint"/.test(attributesOf(attributes)),
  );
  const entry = named ?? marked;
  if (entry === undefined) {
    const found = [...functions.keys()].join(", ") || "none";
    throw invalid(
      `The QIR has no entry point${entryPoint ? ` "${entryPoint}"` : ""}: no function has the attribute entry_point. ` +
        `It defines: ${found}.`,
    );
  }
  const attributes = attributesOf(entry.attributes);
  const attribute = (name: string) => new RegExp(`"${name}"="([^"]*)"`).exec(attributes)?.[1];
  return {
    functions,
    entryPoint: entry,
    profile: attribute("qir_profiles") ?? "",
    requiredQubits: Number(attribute("required_num_qubits") ?? attribute("num_required_qubits") ?? 0),
    requiredResults: Number(attribute("required_num_results") ?? attribute("num_required_results") ?? 0),
  };
}

/** The call of a `call` instruction; undefined for other instructions. */
export function callOf(instruction: QirInstruction): QirCall | undefined {
  if (instruction.operation !== "call") return undefined;
  const match = /^.*?@("?)([\w.$-]+)\1\((.*)\)[^)]*$/.exec(instruction.text);
  if (match === null) return undefined;
  return { callee: match[2] ?? "", arguments: splitOperands(match[3] ?? "").map(parseOperand) };
}

/** `double 0.5`, `%Qubit* inttoptr (i64 1 to %Qubit*)`, `i64 %n`: a type and a value. */
export function parseOperand(text: string): QirOperand {
  const trimmed = text.trim();
  const space = trimmed.indexOf(" ");
  const type = space < 0 ? "" : trimmed.slice(0, space);
  const rest = (space < 0 ? trimmed : trimmed.slice(space + 1)).replace(
    /^(?:(?:noundef|nonnull|writeonly|readonly|immarg|zeroext|signext|nocapture|align \d+)\s+)+/,
    "",
  );
  return { type, value: parseValue(type, rest.trim()) };
}

/** A value of a known type. */
export function parseValue(type: string, text: string): QirValue {
  const local = /^%("?)([\w.$-]+)\1$/.exec(text);
  if (local !== null) return { kind: "local", name: local[2] ?? "" };
  if (isPointer(type)) {
    if (text === "null") return { kind: "address", index: 0 };
    const address = /^inttoptr\s*\(i\d+ (\d+) to [^)]+\)$/.exec(text);
    return address === null ? { kind: "other", text } : { kind: "address", index: Number(address[1]) };
  }
  if (type === "i1" && /^(true|false|0|1)$/.test(text)) {
    return { kind: "bool", value: text === "true" || text === "1" };
  }
  if (/^i\d+$/.test(type) && /^-?\d+$/.test(text)) return { kind: "int", text };
  if (type === "double" || type === "float") {
    const hex = /^0x([0-9A-Fa-f]{1,16})$/.exec(text);
    const value = hex === null ? Number(text) : doubleOfBits(hex[1] ?? "");
    if (Number.isFinite(value)) return { kind: "double", value };
  }
  return { kind: "other", text };
}

export function isPointer(type: string): boolean {
  return type === "ptr" || type.endsWith("*");
}

/** Splits a list of operands at its commas, not at those inside of brackets. */
export function splitOperands(text: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if ("([{".includes(character)) depth += 1;
    else if (")]}".includes(character)) depth -= 1;
    else if (character === "," && depth === 0) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  const last = text.slice(start).trim();
  return last === "" ? parts : [...parts, last];
}

/** LLVM writes doubles that decimal digits cannot show exactly as the hexadecimal of their bits. */
function doubleOfBits(hex: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${hex}`));
  return view.getFloat64(0);
}

function parseParameters(text: string): QirFunction["parameters"] {
  return splitOperands(text).map((parameter) => {
    const { type, value } = parseOperand(parameter);
    return { type, name: value.kind === "local" ? value.name : "" };
  });
}

function parseBlocks(lines: readonly string[], firstLine: number): readonly QirBlock[] {
  const blocks: { label: string; instructions: QirInstruction[] }[] = [];
  for (const [index, raw] of lines.entries()) {
    const line = stripComment(raw).trim();
    if (line === "") continue;
    const label = /^("?)([\w.$-]+)\1:/.exec(line);
    if (label !== null) {
      blocks.push({ label: label[2] ?? "", instructions: [] });
      continue;
    }
    if (blocks.length === 0) blocks.push({ label: "entry", instructions: [] });
    const parsed = /^(?:%("?)([\w.$-]+)\1\s*=\s*)?(?:(?:tail|musttail|notail)\s+)?([a-z_]+)\s*(.*)$/.exec(
      line,
    );
    if (parsed === null)
      throw invalid(`Line ${firstLine + index} of the QIR is no instruction: "${line.slice(0, 100)}".`);
    blocks.at(-1)?.instructions.push({
      line: firstLine + index,
      result: parsed[2],
      operation: parsed[3] ?? "",
      text: parsed[4] ?? "",
    });
  }
  return blocks;
}

function attributeGroups(lines: readonly string[]): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of lines) {
    const group = /^attributes (#\d+) = \{(.*)\}/.exec(line);
    if (group?.[1] !== undefined) groups.set(group[1], group[2] ?? "");
  }
  return groups;
}

/** A semicolon starts a comment, except inside of quotes. */
function stripComment(line: string): string {
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '"') quoted = !quoted;
    else if (line[at] === ";" && !quoted) return line.slice(0, at);
  }
  return line;
}

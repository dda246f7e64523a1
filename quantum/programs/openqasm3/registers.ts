import { invalid } from "../../../shared/errors.ts";
import { apply, bitsEqual, type Edit, maskComments, type SourceFile } from "../source.ts";

/**
 * Makes an OpenQASM 3 program read its classical registers as the language does: element 0 is the lowest bit of the
 * number, and the last digit of a bit string. The compiler underneath has both the other way round, in silence.
 * Comparisons with a number become comparisons of the bits, and bit strings that a register is set to or compared with
 * are turned round. Beside that a register may stand where the order of its bits does not matter; it is refused
 * everywhere else.
 *
 * @throws invalid with line and column of what is refused, and what to write in its place; past five million characters
 */
export function readRegisters({ name: file, text: source }: SourceFile): SourceFile {
  const masked = maskComments(source);
  const declared = declarationsIn(masked);
  if (declared.sizes.size === 0) return { name: file, text: source };
  const edits = new Map<number, Edit>();

  let added = 0;
  const refuse = (at: number, what: string) => {
    const lines = source.slice(0, at).split("\n");
    throw invalid(
      `${file}:${lines.length}:${(lines.at(-1) ?? "").length + 1}: ${what} stands where the compiler would read bits in ` +
        "the wrong order: name the bits, as in c[0] and c[1], where element 0 is the lowest.",
      { field: "source" },
    );
  };

  for (const statement of statementsOf(masked)) {
    for (const match of statement.text.matchAll(/\b[A-Za-z_]\w*\b(?!\s*\[(?![^\]]{0,300}:))/g)) {
      const [name] = match;
      const isRegister = declared.sizes.has(name);
      if (!isRegister && !declared.bitFunctions.has(name)) continue;
      const place = placeOf(statement, match.index, match.index + name.length);
      const start = statement.start + match.index;
      if (!isRegister) {
        if (!isPlainCall(place, declared)) refuse(start, `the result of "${name}"`);
        continue;
      }
      const edit =
        place.slice === "" ? edited(name, place, start, source, declared.sizes.get(name)) : undefined;
      if (edit !== undefined) {
        edits.set(edit.start, edit);
        added += edit.text.length;
        if (added > maxAdded) {
          throw invalid(
            `${file}: comparing registers comes to more than ${maxAdded} characters: compare fewer bits.`,
            {
              field: "source",
            },
          );
        }
      }
      if (edit === undefined && !isOrderless(place, declared)) refuse(start, `the register "${name}"`);
    }
  }

  for (const match of source.matchAll(/\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"([^"\n]*)"/g)) {
    if (/^[01_]+$/.test(match[1] ?? "") && !edits.has(match.index)) refuse(match.index, "the bit string");
  }
  return { name: file, text: apply(source, [...edits.values()]) };
}

interface Declared {
  /** By name; undefined where one is not written as a number, or a name is declared with two sizes. */
  readonly sizes: ReadonlyMap<string, number | undefined>;
  /** Functions that give back a register. */
  readonly bitFunctions: ReadonlySet<string>;
  /** Functions none of whose parameters is a number. */
  readonly bitTakers: ReadonlySet<string>;
}

interface Statement {
  readonly start: number;
  /** Up to the semicolon or brace, which is left out. */
  readonly text: string;
  /** Of the function around it. */
  readonly returnsBits: boolean;
}

/** A name and what stands beside it in its statement. */
interface Place {
  readonly statement: Statement;
  readonly before: string;
  readonly slice: string;
  readonly after: string;
  /** The offset in the statement. */
  readonly at: number;
}

/** Ten times the longest program. */
const maxAdded = 5_000_000;
/** How far from a name what belongs to it may stand: statements may be long, and looked at once for each name. */
const reach = 300;

function placeOf(statement: Statement, at: number, end: number): Place {
  const slice = /^\s*\[[^\]]*\]/.exec(statement.text.slice(end, end + reach))?.[0] ?? "";
  const rest = end + slice.length;
  return {
    statement,
    at,
    slice,
    before: statement.text.slice(Math.max(0, at - reach), at).trimEnd(),
    after: statement.text.slice(rest, rest + reach).trimStart(),
  };
}

const opens = /(?:^|\(|&&|\|\||(?<![=!<>&|^+\-*/%])=)$/;
const closes = /^(?:$|\)|&&|\|\|)/;

/** The comparison with a number, or the bit string, as the compiler must read it. */
function edited(
  name: string,
  { before, after }: Place,
  start: number,
  source: string,
  size: number | undefined,
): Edit | undefined {
  const string = /\s*(==|!=|=)\s*"([01_]+)"/y;
  string.lastIndex = start + name.length;
  const found = string.exec(source);
  if (found !== null) {
    const [whole, operator, bits = ""] = found;
    const isRead = operator === "=" || opens.test(before);
    if (!isRead || !closes.test(after.replace(/^(?:==|!=|=)\s*/, ""))) return undefined;
    const end = start + name.length + whole.length;
    return { start: end - bits.length - 2, end, text: `"${[...bits].toReversed().join("")}"` };
  }
  if (size === undefined || !opens.test(before)) return undefined;
  const compared = /^(==|!=)\s*(0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d[\d_]*)(?![\w.])/.exec(after);
  if (compared === null || !closes.test(after.slice(compared[0].length).trimStart())) return undefined;
  const [whole, operator, number = ""] = compared;
  const end = source.indexOf(whole, start + name.length) + whole.length;
  const bits = bitsEqual(name, size, BigInt(number.replaceAll("_", "").toLowerCase()));
  return { start, end, text: operator === "==" ? bits : `!${bits}` };
}

/** Whether a register stands where nobody makes a number of it. */
function isOrderless(place: Place, declared: Declared): boolean {
  const { statement, before, after } = place;
  const isDeclared = /\bbit\s*\[[^\]]*\]$/.test(before);
  if (isDeclared && /^(?:$|[,)])/.test(after)) return true;
  if (before.endsWith("->")) return after === "";
  if (/^=\s*measure\b/.test(after)) return true;
  const call = /^=\s*([A-Za-z_]\w*)\s*\([^()]*\)$/.exec(after);
  if (call !== null && declared.bitFunctions.has(call[1] ?? "")) return true;
  if (/^(?:==|!=)/.test(after)) {
    const other = /^(?:==|!=)\s*([A-Za-z_]\w*)\s*(?:$|\)|&&|\|\|)/.exec(after)?.[1];
    return opens.test(before) && declared.sizes.has(other ?? "");
  }
  if (/(?:==|!=)$/.test(before)) {
    return declared.sizes.has(/\b(\w+)\s*(?:==|!=)$/.exec(before)?.[1] ?? "") && closes.test(after);
  }
  if (/(?:\b(?:if|while)\s*\(|&&|\|\|)\s*!?$/.test(before)) return /^(?:\)|&&|\|\|)/.test(after);
  if (/\b(?:popcount|sizeof|bool)\s*\($/.test(before)) return after.startsWith(")");
  if (/\breturn$/.test(before)) return after === "" && statement.returnsBits;
  const callee = /\b(\w+)\s*\(\s*(?:[\w\s,[\]:]*,\s*)?$/.exec(before)?.[1];
  if (declared.bitTakers.has(callee ?? "")) return /^[,)]/.test(after);
  return isBitwise(place, declared);
}

/** Whether the statement sets a register to registers and nothing else, bit by bit. */
function isBitwise({ statement, at }: Place, { sizes }: Declared): boolean {
  const match = /\b([A-Za-z_]\w*)\s*(?:\[[^\]]{0,300}\]\s*)?[&|^]?=\s*([~&|^()\w\s]+)$/.exec(
    statement.text.slice(Math.max(0, statement.text.length - 10 * reach)),
  );
  if (match === null || at < statement.text.length - match[0].length) return false;
  const [, target = "", value = ""] = match;
  return sizes.has(target) && (value.match(/\w+/g) ?? []).every((word) => sizes.has(word));
}

/** A call whose result goes into a register or nowhere, or the function's own head. */
function isPlainCall({ statement, before, after }: Place, { sizes }: Declared): boolean {
  if (/\bdef$/.test(before)) return true;
  if (!/^\([^()]*\)$/.test(after)) return false;
  if (before === "" || (/\breturn$/.test(before) && statement.returnsBits)) return true;
  return sizes.has(/\b([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)?=$/.exec(before)?.[1] ?? "");
}

/** Statements outside of gates, which cannot name registers and may call a parameter as one. */
function* statementsOf(masked: string): Generator<Statement> {
  let start = 0;
  let depth = 0;
  let gateDepth: number | undefined;
  let returnsBits = false;
  for (const { 0: mark, index } of masked.matchAll(/[;{}]|$/g)) {
    const text = masked.slice(start, index);
    if (gateDepth === undefined && /^\s*gate\b/.test(text)) gateDepth = depth;
    if (/^\s*def\b/.test(text)) returnsBits = /->\s*bit\s*\[[^\]]*\]\s*$/.test(text.slice(-reach));
    if (gateDepth === undefined) yield { start, text, returnsBits };
    if (mark === "{") depth += 1;
    if (mark === "}") depth -= 1;
    if (mark === "}" && depth === gateDepth) gateDepth = undefined;
    start = index + mark.length;
  }
}

function declarationsIn(masked: string): Declared {
  const sizes = new Map<string, number | undefined>();
  const note = (name: string, size: string) => {
    const value = /^\s*\d{1,4}\s*$/.test(size) ? Number(size) : undefined;
    sizes.set(name, sizes.has(name) && sizes.get(name) !== value ? undefined : value);
  };
  for (const [, size = "", name = ""] of masked.matchAll(/\bbit\s*\[([^\];]{0,100})\]\s*([A-Za-z_]\w*)/g)) {
    note(name, size);
  }
  for (const [, name = "", size = ""] of masked.matchAll(/\bcreg\s+([A-Za-z_]\w*)\s*\[([^\];]{0,100})\]/g)) {
    note(name, size);
  }
  const bitFunctions = new Set<string>();
  const bitTakers = new Set<string>();
  const heads = masked.matchAll(/\bdef\s+([A-Za-z_]\w*)\s*\(([^){;]{0,2000})\)\s*(->\s*bit\s*\[)?/g);
  for (const [, name = "", parameters = "", returned] of heads) {
    if (returned !== undefined) bitFunctions.add(name);
    if (!/\b(?:u?int|angle|float)\b/.test(parameters)) bitTakers.add(name);
  }
  return { sizes, bitFunctions, bitTakers };
}

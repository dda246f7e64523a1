export interface SourceFile {
  /** A file name such as `main.qs`; in Q# its stem is the namespace of what it declares. */
  readonly name: string;
  readonly text: string;
}

/** A piece of a text, from `start` to before `end`, and what stands there instead. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The text with all edits made, in one go. @param edits that do not overlap, in any order */
export function apply(source: string, edits: readonly Edit[]): string {
  const pieces: string[] = [];
  let at = 0;
  for (const { start, end, text } of edits.toSorted((a, b) => a.start - b.start)) {
    pieces.push(source.slice(at, start), text);
    at = end;
  }
  return pieces.join("") + source.slice(at);
}

/**
 * Comments and strings of OpenQASM as spaces, so that patterns see only code; every position stays where it was. A
 * comment without an end goes on to the end of the file.
 */
export function maskComments(source: string): string {
  return source.replace(/\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"[^"\n]*"/g, (text) =>
    text.replace(/[^\n]/g, " "),
  );
}

/** A decimal literal that OpenQASM reads as a float even where it is whole. */
export function decimal(value: number): string {
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/**
 * Whether a classical register is a number, as a condition over its bits: element 0 is the lowest.
 *
 * @param size of the register, in bits
 */
export function bitsEqual(name: string, size: number, value: bigint): string {
  if (value >> BigInt(size) !== 0n) return `(${name}[0] && !${name}[0])`;
  const bits = Array.from({ length: size }, (_, index) =>
    (value >> BigInt(index)) & 1n ? `${name}[${index}]` : `!${name}[${index}]`,
  );
  return `(${bits.join(" && ")})`;
}

import { invalid } from "../../shared/errors.ts";

/**
 * Makes an OpenQASM 3 program read its classical registers as the language does: element 0 is the lowest bit of the
 * number, and the last digit of a bit string. The compiler underneath has both the other way round, in silence. So
 * comparisons with a number become comparisons of the bits, bit strings that a register is set to or compared with are
 * turned round, and whatever else makes a number of a register, or a register of a number, is refused.
 *
 * @param masked the source with comments and strings as spaces, every position where it was
 * @throws invalid with line and column of what is refused, and what to write in its place
 */
export function readRegisters(file: string, source: string, masked: string): string {
  const sizes = registersIn(masked);
  if (sizes.size === 0) return source;
  const edits = new Map<number, { readonly end: number; readonly text: string }>();

  for (const match of masked.matchAll(/\b[A-Za-z_]\w*\b(?!\s*\[(?![^\];]*:))/g)) {
    const [name] = match;
    if (!sizes.has(name)) continue;
    const end = match.index + name.length;
    const before = masked.slice(Math.max(0, match.index - reach), match.index).trimEnd();
    const slice = /^\s*\[[^\]]*\]/.exec(masked.slice(end, end + reach))?.[0] ?? "";
    const after = masked.slice(end + slice.length, end + slice.length + reach);
    const size = slice === "" ? sizes.get(name) : undefined;
    const refuse = (what: string) => {
      const lines = source.slice(0, match.index).split("\n");
      const place = `${file}:${lines.length}:${(lines.at(-1) ?? "").length + 1}`;
      throw invalid(
        `${place}: the register "${name}" ${what}, and the compiler would read its bits in the wrong order: name the ` +
          `bits, as in ${name}[0] and ${name}[1], where element 0 is the lowest.`,
        { field: "source" },
      );
    };

    const compared = /^\s*(==|!=)\s*(0[xX][\da-fA-F]+|0[bB][01]+|\d+)(?![\w.])/.exec(after);
    if (compared !== null && size !== undefined && !/(?:[-+*/%<>^~!=]|(?<!&)&|(?<!\|)\|)$/.test(before)) {
      const [whole, operator, number = ""] = compared;
      if (/^\s*(?:[-+*/%^]|<<|>>|&(?!&)|\|(?!\|)|[<>=!])/.test(after.slice(whole.length))) {
        refuse("stands in an expression with numbers");
      }
      const bits = equals(name, size, BigInt(number.replace(/^0[XB]/, (text) => text.toLowerCase())));
      edits.set(match.index, { end: end + whole.length, text: operator === "==" ? bits : `!${bits}` });
      continue;
    }
    const set = /^(\s*(?:==|!=|=)\s*)$/.exec(/^[^"]*?(?=")/.exec(source.slice(end, end + reach))?.[0] ?? "x");
    if (slice === "" && set !== null) {
      const text = /^"([01_]*)"/.exec(source.slice(end + set[0].length, end + set[0].length + 100_000));
      if (text !== null) {
        const start = end + set[0].length;
        edits.set(start, {
          end: start + text[0].length,
          text: `"${[...(text[1] ?? "")].toReversed().join("")}"`,
        });
        continue;
      }
    }
    const other = sizes.has(/^\s*(?:==|!=)\s*(\w+)/.exec(after)?.[1] ?? "");
    const otherBefore = sizes.has(/(\w+)\s*(?:==|!=)$/.exec(before)?.[1] ?? "");
    if (/^\s*(?:==|!=)/.test(after) && !other)
      refuse("is compared with something that is not a plain number");
    if (/(?:==|!=)$/.test(before) && !otherBefore) refuse("is compared from the right");
    if (/^\s*(?:<<|>>|\*\*|[-+*/%]|[<>])/.test(after) && !/^\s*->/.test(after)) {
      refuse("stands in an expression with numbers");
    }
    if (/(?:<<|>>|\*\*|[-+*/%<>])$/.test(before) && !/->$/.test(before)) {
      refuse("stands in an expression with numbers");
    }
    if (/\b(?:int|uint|angle|float|duration)\s*(?:\[[^\]]*\])?\s*\($/.test(before))
      refuse("is made a number");
    if (/\b(?:int|uint|angle|float)\s*(?:\[[^\]]*\])?\s+\w+\s*=$/.test(before)) refuse("is made a number");
    if (/\b(?:switch|rotl|rotr)\s*\($/.test(before)) refuse("is read as a number");
    if (/^\s*=\s*(?:[-+]?\d|u?int\b|angle\b)/.test(after)) refuse("is set to a number");
  }

  const pieces: string[] = [];
  let at = 0;
  for (const [start, edit] of [...edits].toSorted(([a], [b]) => a - b)) {
    pieces.push(source.slice(at, start), edit.text);
    at = edit.end;
  }
  return pieces.join("") + source.slice(at);
}

/** How far from a register's name its operators may stand; no program has more space there. */
const reach = 300;

/** Sizes by name; undefined where one is not written as a number, or a name is declared with two sizes. */
function registersIn(masked: string): Map<string, number | undefined> {
  const sizes = new Map<string, number | undefined>();
  const note = (name: string, size: string) => {
    const value = /^\s*\d{1,5}\s*$/.test(size) ? Number(size) : undefined;
    sizes.set(name, sizes.has(name) && sizes.get(name) !== value ? undefined : value);
  };
  for (const [, size = "", name = ""] of masked.matchAll(/\bbit\s*\[([^\];]*)\]\s*([A-Za-z_]\w*)/g)) {
    note(name, size);
  }
  for (const [, name = "", size = ""] of masked.matchAll(/\bcreg\s+([A-Za-z_]\w*)\s*\[([^\];]*)\]/g)) {
    note(name, size);
  }
  return sizes;
}

function equals(name: string, size: number, value: bigint): string {
  if (value >> BigInt(size) !== 0n) return `(${name}[0] && !${name}[0])`;
  const bits = Array.from({ length: size }, (_, index) =>
    (value >> BigInt(index)) & 1n ? `${name}[${index}]` : `!${name}[${index}]`,
  );
  return `(${bits.join(" && ")})`;
}

import { invalid } from "../../../shared/errors.ts";
import { apply, decimal, type Edit, maskComments } from "../source.ts";

/**
 * Gives the `input` declarations of an OpenQASM 3 program their values: `input float theta;` becomes
 * `const float theta = 0.7;`. The compiler has no way to pass inputs, and constants would join the program's output, so
 * where no `output` is declared the bits become the outputs, as they were before.
 *
 * @param inputs number, boolean or a bit string by name; the last digit of a bit string is element 0
 * @throws invalid when an input is missing, unknown or of another type
 */
export function bindInputs(source: string, inputs: Readonly<Record<string, unknown>>): string {
  const masked = maskComments(source);
  const declarations = [
    ...masked.matchAll(/\binput\s+([A-Za-z_]\w*(?:\s*\[[^\];]{0,100}\])*)\s+([A-Za-z_]\w*)\s*;/g),
  ];
  const declared = new Set(declarations.map((match) => match[2]));
  for (const name of Object.keys(inputs)) {
    if (declared.has(name)) continue;
    const known = declared.size === 0 ? "declares none" : `declares ${[...declared].join(", ")}`;
    throw invalid(`The arguments name "${name}"; the program has no such input: it ${known}.`, {
      field: `arguments.${name}`,
    });
  }
  if (declarations.length === 0) return source;
  const edits = declarations.map((match): Edit => {
    const [whole, type = "", name = ""] = match;
    const value = literalOf(
      name,
      type.replace(/\s+/g, ""),
      Object.hasOwn(inputs, name) ? inputs[name] : undefined,
    );
    return { start: match.index, end: match.index + whole.length, text: `const ${type} ${name} = ${value};` };
  });
  const hasOutputs = topLevel(masked, [...masked.matchAll(/\boutput\b/g)]).length > 0;
  return apply(source, hasOutputs ? edits : [...edits, ...bitsAsOutputs(masked)]);
}

/** `bit[2] c;` becomes `output bit[2] c;`, and `bit c = measure q;` `output bit c; c = measure q;`. */
function bitsAsOutputs(masked: string): readonly Edit[] {
  const registers = /\b(bit(?:\s*\[[^\];]{0,100}\])?)\s+([A-Za-z_]\w*)\s*(;|=)/g;
  const legacy = /\bcreg\s+([A-Za-z_]\w*)\s*(\[[^\];]{0,100}\])?\s*;/g;
  const bits = topLevel(masked, [...masked.matchAll(registers)])
    .filter((match) => !/\b(?:const|output|input)\s+$/.test(masked.slice(0, match.index)))
    .map((match): Edit => {
      const [whole, type = "", name = "", after] = match;
      const text = after === ";" ? `output ${type} ${name};` : `output ${type} ${name}; ${name} =`;
      return { start: match.index, end: match.index + whole.length, text };
    });
  const old = topLevel(masked, [...masked.matchAll(legacy)]).map((match): Edit => {
    const [whole, name = "", size = ""] = match;
    return {
      start: match.index,
      end: match.index + whole.length,
      text: `output bit${size} ${name};`,
    };
  });
  return [...bits, ...old];
}

function literalOf(name: string, type: string, value: unknown): string {
  const field = `arguments.${name}`;
  if (value === undefined) {
    throw invalid(`The program's input "${name}" of type ${type} has no value; give it in arguments.`, {
      field,
    });
  }
  const base = /^[a-z]+/.exec(type)?.[0] ?? type;
  if ((base === "float" || base === "angle") && typeof value === "number" && Number.isFinite(value)) {
    return decimal(value);
  }
  if ((base === "int" || base === "uint") && typeof value === "number" && Number.isSafeInteger(value)) {
    if (base === "int" || value >= 0) return String(value);
  }
  if (base === "bool" && typeof value === "boolean") return String(value);
  if (base === "bit" && typeof value === "string" && /^[01]+$/.test(value)) {
    return `"${[...value].toReversed().join("")}"`; // the compiler has element 0 at the left
  }
  throw invalid(
    `The value ${JSON.stringify(value)} of input "${name}" is not of its type ${type}: float and angle take a number, ` +
      "int and uint a whole number, bool true or false, bit a string of 0 and 1.",
    { field },
  );
}

/** The matches outside of any braces. */
function topLevel<Match extends { readonly index: number }>(
  masked: string,
  matches: readonly Match[],
): readonly Match[] {
  let depth = 0;
  let at = 0;
  return matches.filter((match) => {
    for (; at < match.index; at++) {
      if (masked[at] === "{") depth += 1;
      else if (masked[at] === "}") depth -= 1;
    }
    return depth === 0;
  });
}

import { unsupported } from "../../shared/errors.ts";
import { decimalLiteral } from "../simulator/entry.ts";
import {
  parseOperand,
  parseValue,
  type QirInstruction,
  type QirOperand,
  type QirValue,
  splitOperands,
} from "./module.ts";

const binary: ReadonlyMap<string, string> = new Map(
  Object.entries({
    add: "+",
    sub: "-",
    mul: "*",
    sdiv: "/",
    srem: "%",
    shl: "<<<",
    ashr: ">>>",
    fadd: "+",
    fsub: "-",
    fmul: "*",
    fdiv: "/",
  }),
);
const bitwise: ReadonlyMap<string, readonly [ofInt: string, ofBool: string]> = new Map([
  ["and", ["&&&", "and"]],
  ["or", ["|||", "or"]],
  ["xor", ["^^^", "!="]],
]);
const comparisons: ReadonlyMap<string, string> = new Map(
  Object.entries({
    eq: "==",
    ne: "!=",
    slt: "<",
    sle: "<=",
    sgt: ">",
    sge: ">=",
    oeq: "==",
    one: "!=",
    une: "!=",
    olt: "<",
    ole: "<=",
    ogt: ">",
    oge: ">=",
  }),
);

/** The type and the Q# expression of a classical instruction. */
export function classical(
  instruction: QirInstruction,
  operation: string,
  text: string,
  cellOf: (pointer: QirOperand, instruction: QirInstruction) => string,
): { readonly type: string; readonly expression: string } {
  const value = (type: string, given: string | undefined) =>
    expressionOf(parseValue(type, given ?? ""), instruction);
  const words = text.replace(
    /^(?:(?:nsw|nuw|exact|nneg|fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\s+)+/,
    "",
  );
  if (operation === "icmp" || operation === "fcmp") {
    const [, predicate = "", type = "", operands = ""] = /^(\w+)\s+(\S+)\s+(.*)$/.exec(words) ?? [];
    const sign = comparisons.get(predicate);
    const [left, right] = splitOperands(operands);
    if (sign === undefined) throw notUnderstood(instruction);
    return { type: "i1", expression: `${value(type, left)} ${sign} ${value(type, right)}` };
  }
  if (operation === "load") {
    const [type = "", pointer = ""] = splitOperands(words);
    return { type, expression: cellOf(parseOperand(pointer), instruction) };
  }
  if (operation === "select") {
    const [condition, yes, no] = splitOperands(words).map(parseOperand);
    if (condition === undefined || yes === undefined || no === undefined) throw notUnderstood(instruction);
    const [test, one, other] = [condition, yes, no].map((operand) =>
      expressionOf(operand.value, instruction),
    );
    return { type: yes.type, expression: `${test} ? ${one} | ${other}` };
  }
  const [, type = "", operands = ""] = /^(\S+)\s+(.*)$/.exec(words) ?? [];
  const conversion = /^(.*?)\s+to\s+(\S+)$/.exec(operands);
  if (conversion !== null) {
    return converted(operation, type, value(type, conversion[1]), conversion[2] ?? "", instruction);
  }
  const [left, right] = splitOperands(operands);
  if (operation === "fneg") return { type, expression: `-(${value(type, left)})` };
  const signs = bitwise.get(operation);
  const sign = signs === undefined ? binary.get(operation) : signs[type === "i1" ? 1 : 0];
  if (sign === undefined || (signs === undefined && type === "i1")) throw notUnderstood(instruction);
  return { type, expression: `${value(type, left)} ${sign} ${value(type, right)}` };
}

function converted(
  operation: string,
  from: string,
  value: string,
  to: string,
  instruction: QirInstruction,
): { readonly type: string; readonly expression: string } {
  if (operation === "sitofp" || operation === "uitofp") {
    const int = from === "i1" ? `(${value} ? 1 | 0)` : value;
    return { type: to, expression: `Std.Convert.IntAsDouble(${int})` };
  }
  if (operation === "fptosi") return { type: to, expression: `Std.Math.Truncate(${value})` };
  if (operation === "zext" || operation === "sext") {
    const one = operation === "zext" ? "1" : "-1";
    return { type: to, expression: from === "i1" ? `${value} ? ${one} | 0` : value };
  }
  if (operation === "trunc") return { type: to, expression: to === "i1" ? `(${value} &&& 1) == 1` : value };
  throw notUnderstood(instruction);
}

/** LLVM allows more characters in names than Q# does. */
export function variable(name: string): string {
  return `v_${name.replace(/[^A-Za-z0-9_]/g, (character) => `_${character.charCodeAt(0)}_`)}`;
}

/** A value as Q# writes it. */
export function expressionOf(value: QirValue, instruction: QirInstruction): string {
  switch (value.kind) {
    case "local":
      // A value may be used before the block that defines it in the text; its type is then known from there.
      return variable(value.name);
    case "int":
      return value.text.startsWith("-") ? `(${value.text})` : value.text;
    case "bool":
      return String(value.value);
    case "double":
      return value.value < 0 ? `(${decimalLiteral(value.value)})` : decimalLiteral(value.value);
    default:
      throw notUnderstood(instruction);
  }
}

export function notUnderstood({ line, operation, text }: QirInstruction) {
  return unsupported(
    `Line ${line} of the QIR is not understood here: "${`${operation} ${text}`.slice(0, 160)}". ` +
      "Programs of the base profile always are; of the adaptive profile, static qubits, branches, integers and doubles.",
  );
}

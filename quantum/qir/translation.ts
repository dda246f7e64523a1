import { invalid, unsupported } from "../../shared/errors.ts";
import { classical, expressionOf, notUnderstood, variable } from "./classical.ts";
import { gates, instructionName } from "./gates.ts";
import { inlineCalls } from "./inlining.ts";
import {
  callOf,
  isPointer,
  parseOperand,
  parseValue,
  type QirBlock,
  type QirInstruction,
  type QirModule,
  type QirOperand,
  splitOperands,
} from "./module.ts";
import { type OutputRecord, outputOf, recordOf } from "./output.ts";

/**
 * Translates QIR into a Q# program with the same outcomes: nothing in JavaScript runs QIR itself. The base profile is
 * one block of calls. Of the adaptive profile, branches, loops, classical values and functions of one block are
 * understood: the blocks become the branches of a loop over the number of the block to run next.
 *
 * @returns one Q# source file whose `Main` returns what the program records as output
 * @throws unsupported for dynamic qubits and other constructs that are not understood; the message names line and text
 */
export function qsharpOfQir(module: QirModule): string {
  const blocks = inlineCalls(module);
  const labels = new Map(blocks.map(({ label }, index) => [label, index]));
  const translation: Translation = {
    qubits: module.requiredQubits,
    results: module.requiredResults,
    variables: new Map(),
    records: [],
    labels,
  };
  const bodies = blocks.map((block) => translateBlock(block, blocks, translation));
  const { type, expression } = outputOf(translation.records);
  const indent = blocks.length > 1 ? "      " : "  ";
  const variables = [...translation.variables].map(
    ([name, { initial }]) => `  mutable ${name} = ${initial};`,
  );
  const code =
    blocks.length === 1
      ? (bodies[0] ?? []).map((line) => indent + line)
      : [
          "  mutable block = 0;",
          "  while block >= 0 {",
          ...bodies.flatMap((body, index) => [
            `    ${index === 0 ? "if" : "} elif"} block == ${index} {`,
            ...body.map((line) => indent + line),
          ]),
          "    }",
          "  }",
        ];
  return [
    `operation Main() : ${type} {`,
    ...(translation.qubits > 0 ? [`  use q = Qubit[${translation.qubits}];`] : []),
    ...(translation.results > 0 ? [`  mutable r = [Zero, size = ${translation.results}];`] : []),
    ...variables,
    ...code,
    `  let output = ${expression};`,
    ...(translation.qubits > 0 ? ["  ResetAll(q);"] : []),
    "  output",
    "}",
    "",
  ].join("\n");
}

interface Translation {
  qubits: number;
  results: number;
  /** Q# variables of the program's classical values. */
  readonly variables: Map<string, { readonly initial: string }>;
  readonly records: OutputRecord[];
  readonly labels: ReadonlyMap<string, number>;
}

function translateBlock(block: QirBlock, blocks: readonly QirBlock[], into: Translation): readonly string[] {
  const lines: string[] = [];
  for (const instruction of block.instructions) {
    if (instruction.operation === "phi") continue; // assigned on the edges that lead here
    lines.push(...translate(instruction, block, blocks, into));
  }
  return lines;
}

function translate(
  instruction: QirInstruction,
  block: QirBlock,
  blocks: readonly QirBlock[],
  into: Translation,
): readonly string[] {
  const { operation, text, result } = instruction;
  switch (operation) {
    case "call":
      return translateCall(instruction, block, into);
    case "ret":
      return blocks.length > 1 ? ["set block = -1;"] : [];
    case "br":
      return translateBranch(instruction, block, blocks, into);
    case "alloca":
      // Its pointer names the cell: loads and stores become uses of one variable.
      if (result === undefined) throw notUnderstood(instruction);
      declare(result, splitOperands(text)[0] ?? "", into);
      return [];
    case "store":
      return [translateStore(instruction, into)];
    default: {
      if (result === undefined) throw notUnderstood(instruction);
      const { type, expression } = classical(instruction, operation, text, (pointer, at) =>
        cellOf(pointer, at, into),
      );
      return [assignment(result, type, expression, into)];
    }
  }
}

function translateCall(instruction: QirInstruction, block: QirBlock, into: Translation): readonly string[] {
  const call = callOf(instruction);
  if (call === undefined) throw notUnderstood(instruction);
  const { callee, arguments: given } = call;
  const record = recordOf(callee);
  if (record !== undefined) {
    const [first] = given;
    if (first === undefined) throw notUnderstood(instruction);
    const expression =
      record.kind === "result" ? resultAt(first, instruction, into) : expressionOf(first.value, instruction);
    into.records.push({ ...record, expression, block: block.label, line: instruction.line });
    return [];
  }
  if (callee === "__quantum__rt__initialize") return [];
  if (callee === "__quantum__rt__read_result" || callee === "__quantum__qis__read_result__body") {
    const [result] = given;
    if (result === undefined || instruction.result === undefined) throw notUnderstood(instruction);
    return [assignment(instruction.result, "i1", `${resultAt(result, instruction, into)} == One`, into)];
  }
  if (callee.startsWith("__quantum__rt__qubit_")) {
    throw unsupported(
      `Line ${instruction.line} of the QIR calls ${callee}: qubits that are allocated while the program runs are not ` +
        "supported here; compile for a profile with static qubits, such as base or adaptive_ri.",
    );
  }
  if (/^__quantum__qis__barrier/.test(callee)) return [];
  return [translateGate(instructionName(callee) ?? "", given, instruction, into)];
}

function translateGate(
  name: string,
  given: readonly QirOperand[],
  instruction: QirInstruction,
  into: Translation,
): string {
  const [first, second] = given;
  if (name === "reset__body" && first !== undefined) return `Reset(${qubitAt(first, instruction, into)});`;
  if (/^(m|mz|mresetz)__body$/.test(name) && first !== undefined && second !== undefined) {
    const measure = name === "mresetz__body" ? "MResetZ" : "M";
    const index = resultIndex(second, instruction, into);
    return `set r w/= ${index} <- ${measure}(${qubitAt(first, instruction, into)});`;
  }
  const gate = gates.get(name);
  if (gate === undefined || given.length !== gate.angles + gate.qubits) throw notUnderstood(instruction);
  const angles = given.slice(0, gate.angles).map(({ value }) => expressionOf(value, instruction));
  const qubits = given.slice(gate.angles).map((operand) => qubitAt(operand, instruction, into));
  const call = gate.qsharp
    .replace(/\{a(\d)\}/g, (_, index: string) => angles[Number(index)] ?? "")
    .replace(/\{q(\d)\}/g, (_, index: string) => qubits[Number(index)] ?? "");
  return `${call};`;
}

function translateStore(instruction: QirInstruction, into: Translation): string {
  const [value, pointer] = splitOperands(instruction.text).map(parseOperand);
  if (value === undefined || pointer === undefined) throw notUnderstood(instruction);
  return `set ${cellOf(pointer, instruction, into)} = ${expressionOf(value.value, instruction)};`;
}

/** The variable of a pointer to one classical value; pointers into arrays have none. */
function cellOf({ value }: QirOperand, instruction: QirInstruction, into: Translation): string {
  const name = value.kind === "local" ? variable(value.name) : "";
  if (!into.variables.has(name)) throw notUnderstood(instruction);
  return name;
}

function translateBranch(
  instruction: QirInstruction,
  block: QirBlock,
  blocks: readonly QirBlock[],
  into: Translation,
): readonly string[] {
  const target = (text: string | undefined): readonly string[] => {
    const label = /^label %("?)([\w.$-]+)\1$/.exec(text ?? "")?.[2];
    const index = label === undefined ? undefined : into.labels.get(label);
    if (index === undefined) throw notUnderstood(instruction);
    return [...phiAssignments(block, blocks[index], into), `set block = ${index};`];
  };
  const operands = splitOperands(instruction.text);
  if (operands.length === 1) return target(operands[0]);
  if (operands.length !== 3) throw notUnderstood(instruction);
  const condition = expressionOf(parseOperand(operands[0] ?? "").value, instruction);
  const otherwise = target(operands[2]);
  return [
    `if ${condition} {`,
    ...target(operands[1]).map((line) => `  ${line}`),
    "} else {",
    ...otherwise.map((line) => `  ${line}`),
    "}",
  ];
}

/** All phis of a block take their values at once, from the values before the edge. */
function phiAssignments(from: QirBlock, to: QirBlock | undefined, into: Translation): readonly string[] {
  const phis = (to?.instructions ?? []).filter(({ operation }) => operation === "phi");
  const moves = phis.map((phi) => {
    const [, type = "", incoming = ""] = /^(\S+)\s+(.*)$/.exec(phi.text) ?? [];
    const choice = splitOperands(incoming)
      .map((pair) => splitOperands(pair.replace(/^\[\s*|\s*\]$/g, "")))
      .find(([, label]) => label?.replace(/^%"?|"$/g, "") === from.label);
    if (choice?.[0] === undefined || phi.result === undefined) throw notUnderstood(phi);
    declare(phi.result, type, into);
    return [variable(phi.result), expressionOf(parseValue(type, choice[0]), phi)] as const;
  });
  const [only] = moves;
  if (moves.length <= 1) return only === undefined ? [] : [`set ${only[0]} = ${only[1]};`];
  return [
    `set (${moves.map(([name]) => name).join(", ")}) = (${moves.map(([, value]) => value).join(", ")});`,
  ];
}

function assignment(result: string, type: string, expression: string, into: Translation): string {
  declare(result, type, into);
  return `set ${variable(result)} = ${expression};`;
}

function declare(name: string, type: string, into: Translation): void {
  const initial = type === "i1" ? "false" : type === "double" ? "0.0" : /^i\d+$/.test(type) ? "0" : undefined;
  if (initial === undefined) {
    throw unsupported(
      `The QIR has the value %${name} of type ${type}; only i1, integers and double are understood.`,
    );
  }
  into.variables.set(variable(name), { initial });
}

function qubitAt(operand: QirOperand, instruction: QirInstruction, into: Translation): string {
  const index = indexOf(operand, instruction);
  into.qubits = Math.max(into.qubits, index + 1);
  return `q[${index}]`;
}

function resultIndex(operand: QirOperand, instruction: QirInstruction, into: Translation): number {
  const index = indexOf(operand, instruction);
  into.results = Math.max(into.results, index + 1);
  return index;
}

function resultAt(operand: QirOperand, instruction: QirInstruction, into: Translation): string {
  return `r[${resultIndex(operand, instruction, into)}]`;
}

/** More qubits or results than any target has would only fill the memory. */
const maxAddress = 10_000;

function indexOf({ type, value }: QirOperand, instruction: QirInstruction): number {
  if (!isPointer(type) || value.kind !== "address") throw notUnderstood(instruction);
  if (value.index >= maxAddress) {
    throw invalid(
      `Line ${instruction.line} of the QIR names qubit or result ${value.index}; at most ${maxAddress} are held.`,
    );
  }
  return value.index;
}

import { tooLarge, unsupported } from "../../shared/errors.ts";
import {
  callOf,
  parseOperand,
  type QirBlock,
  type QirCall,
  type QirFunction,
  type QirInstruction,
  type QirModule,
} from "./module.ts";

const maxDepth = 32;
const maxInstructions = 200_000;

/**
 * The entry point's blocks with the calls of the module's own functions replaced by what those do. A function of one
 * block disappears into the block that calls it; one with branches brings its blocks along, and the calling block goes on
 * behind them. What it returns passes through a cell.
 *
 * @throws unsupported for recursion; tooLarge for huge programs
 */
export function inlineCalls(module: QirModule): readonly QirBlock[] {
  let calls = 0;
  let instructions = 0;

  function expand(body: QirFunction, names: Names, onReturn: OnReturn, depth: number): readonly QirBlock[] {
    const expanded: OpenBlock[] = [];
    /** The block that a block of the text ends in, where calls have split it. */
    const ends = new Map<string, string>();
    for (const { label, instructions: own } of body.blocks) {
      const start = renamedLabel(label, names);
      let current: OpenBlock = { label: start, instructions: [] };
      expanded.push(current);
      for (const original of own) {
        instructions += 1;
        if (instructions > maxInstructions) {
          throw tooLarge(
            `The QIR has more than ${maxInstructions} instructions; that is more than is run here.`,
          );
        }
        const instruction = renamed(original, names);
        const call = callOf(instruction);
        const callee = call === undefined ? undefined : module.functions.get(call.callee);
        if (call !== undefined && callee !== undefined) {
          if (depth === maxDepth) {
            throw unsupported(`Line ${original.line} of the QIR calls functions more than ${maxDepth} deep.`);
          }
          const { blocks, after } = inlined(callee, call, instruction, depth);
          const [first, ...others] = blocks;
          // One by one: as arguments of one call, a hundred thousand overflow the stack.
          for (const each of first?.instructions ?? []) current.instructions.push(each);
          for (const block of others) expanded.push({ ...block, instructions: [...block.instructions] });
          current = expanded.at(-1) ?? current;
          current.instructions.push(...after);
        } else if (instruction.operation === "ret") {
          current.instructions.push(...onReturn(instruction));
        } else {
          current.instructions.push(instruction);
        }
      }
      ends.set(start, current.label);
    }
    return expanded.map((block) => withPredecessors(block, ends));
  }

  /** The blocks of one call, the first without its label, and what follows in the last of them. */
  function inlined(callee: QirFunction, call: QirCall, instruction: QirInstruction, depth: number) {
    calls += 1;
    const prefix = `call${calls}`;
    const { line, result } = instruction;
    const names = namesOf(callee, call, prefix, instruction);
    const single = callee.blocks.length === 1;
    const type = /^(?:\w+\s+)*?(\S+)\s+@/.exec(instruction.text)?.[1] ?? "";
    const cell = `%${prefix}.returned`;
    const leave = { line, result: undefined, operation: "br", text: `label %${prefix}.after` };
    const onReturn: OnReturn = ({ text }) => {
      const { type: given } = parseOperand(text);
      const kept =
        result === undefined || given === "void" || text === "void" ? [] : [store(line, text, cell)];
      return single ? kept : [...kept, leave];
    };
    const body = expand(callee, names, onReturn, depth + 1);
    const declared =
      result === undefined ? [] : [{ line, result: cell.slice(1), operation: "alloca", text: type }];
    const after =
      result === undefined ? [] : [{ line, result, operation: "load", text: `${type}, ptr ${cell}` }];
    const [first] = body;
    if (single)
      return {
        blocks: [
          { label: "", instructions: [...declared, ...(first?.instructions ?? [])] },
          ...body.slice(1),
        ],
        after,
      };
    const enter = { line, result: undefined, operation: "br", text: `label %${first?.label ?? ""}` };
    const blocks = [
      { label: "", instructions: [...declared, enter] },
      ...body,
      { label: `${prefix}.after`, instructions: [] },
    ];
    return { blocks, after };
  }

  return expand(module.entryPoint, new Map(), (instruction) => [instruction], 0);
}

interface OpenBlock {
  readonly label: string;
  readonly instructions: QirInstruction[];
}

type OnReturn = (instruction: QirInstruction) => readonly QirInstruction[];

/** What local names of a function become, values and labels alike, with the percent sign. */
type Names = ReadonlyMap<string, string>;

function namesOf(callee: QirFunction, call: QirCall, prefix: string, caller: QirInstruction): Names {
  const names = new Map<string, string>();
  for (const { label, instructions } of callee.blocks) {
    names.set(label, `%${prefix}.${label}`);
    for (const { result } of instructions)
      if (result !== undefined) names.set(result, `%${prefix}.${result}`);
  }
  for (const [index, { name }] of callee.parameters.entries())
    names.set(name, argumentText(call, index, caller));
  return names;
}

/** The text of a call's argument without its type. */
function argumentText(call: QirCall, index: number, caller: QirInstruction): string {
  const argument = call.arguments[index];
  if (argument === undefined) {
    throw unsupported(`Line ${caller.line} of the QIR calls ${call.callee} with too few arguments.`);
  }
  const { type, value } = argument;
  switch (value.kind) {
    case "local":
      return `%${value.name}`;
    case "address":
      return `inttoptr (i64 ${value.index} to ${type})`;
    case "int":
    case "other":
      return value.text;
    case "bool":
    case "double":
      return String(value.value);
  }
}

function renamed(instruction: QirInstruction, names: Names): QirInstruction {
  if (names.size === 0) return instruction;
  const text = instruction.text.replace(
    /%("?)([\w.$-]+)\1/g,
    (whole, _quote: string, name: string) => names.get(name) ?? whole,
  );
  const result = instruction.result === undefined ? undefined : names.get(instruction.result)?.slice(1);
  return { ...instruction, text, result: result ?? instruction.result };
}

function renamedLabel(label: string, names: Names): string {
  return names.get(label)?.slice(1) ?? label;
}

/** Phis name the block that control comes from: where a call has split it, that is its last part. */
function withPredecessors({ label, instructions }: OpenBlock, ends: ReadonlyMap<string, string>): QirBlock {
  return {
    label,
    instructions: instructions.map((instruction) =>
      instruction.operation === "phi"
        ? {
            ...instruction,
            text: instruction.text.replace(
              /,\s*%("?)([\w.$-]+)\1\s*\]/g,
              (_, _quote: string, from: string) => `, %${ends.get(from) ?? from} ]`,
            ),
          }
        : instruction,
    ),
  };
}

function store(line: number, value: string, cell: string): QirInstruction {
  return { line, result: undefined, operation: "store", text: `${value}, ptr ${cell}` };
}

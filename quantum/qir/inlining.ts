import { tooLarge, unsupported } from "../../shared/errors.ts";
import { callOf, type QirBlock, type QirFunction, type QirInstruction, type QirModule } from "./module.ts";

const maxDepth = 32;
const maxInstructions = 200_000;

/**
 * The entry point's blocks with the calls of the module's own functions replaced by what those do.
 *
 * @throws unsupported for functions with branches, which cannot be put inside of a block; tooLarge for huge programs
 */
export function inlineCalls(module: QirModule): readonly QirBlock[] {
  let calls = 0;
  let instructions = 0;

  const expand = (
    block: readonly QirInstruction[],
    rename: ReadonlyMap<string, string>,
    depth: number,
  ): readonly QirInstruction[] =>
    block.flatMap((original): readonly QirInstruction[] => {
      instructions += 1;
      if (instructions > maxInstructions) {
        throw tooLarge(
          `The QIR has more than ${maxInstructions} instructions; that is more than is run here.`,
        );
      }
      const instruction = renamed(original, rename);
      const call = callOf(instruction);
      const callee = call === undefined ? undefined : module.functions.get(call.callee);
      if (call === undefined || callee === undefined) return [instruction];
      if (depth === maxDepth)
        throw unsupported(`Line ${original.line} of the QIR calls functions too deeply.`);
      const body = singleBlock(callee, original);
      calls += 1;
      const names = new Map<string, string>();
      for (const { result } of body) if (result !== undefined) names.set(result, `%call${calls}.${result}`);
      for (const [index, parameter] of callee.parameters.entries()) {
        names.set(parameter.name, valueText(instruction, index));
      }
      const inner = expand(
        body.filter(({ operation }) => operation !== "ret"),
        names,
        depth + 1,
      );
      if (instruction.result === undefined) return inner;
      const returned = body.find(({ operation }) => operation === "ret");
      if (returned === undefined) return inner;
      throw unsupported(
        `Line ${original.line} of the QIR uses what ${callee.name} returns; functions that return values are not understood here.`,
      );
    });

  return module.entryPoint.blocks.map(({ label, instructions: own }) => ({
    label,
    instructions: expand(own, new Map(), 0),
  }));
}

function singleBlock(callee: QirFunction, caller: QirInstruction): readonly QirInstruction[] {
  const [only] = callee.blocks;
  if (only === undefined || callee.blocks.length > 1) {
    throw unsupported(
      `Line ${caller.line} of the QIR calls ${callee.name}, a function with branches; only functions of one block are understood.`,
    );
  }
  return only.instructions;
}

/** The text of a call's argument without its type. */
function valueText(call: QirInstruction, index: number): string {
  const argument = callOf(call)?.arguments[index];
  if (argument === undefined) throw unsupported(`Line ${call.line} of the QIR gives too few arguments.`);
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
      return String(value.value);
    case "double":
      return String(value.value);
  }
}

function renamed(instruction: QirInstruction, names: ReadonlyMap<string, string>): QirInstruction {
  if (names.size === 0) return instruction;
  const text = instruction.text.replace(
    /%("?)([\w.$-]+)\1/g,
    (whole, _quote: string, name: string) => names.get(name) ?? whole,
  );
  const result = instruction.result === undefined ? undefined : names.get(instruction.result)?.slice(1);
  return { ...instruction, text, result: result ?? instruction.result };
}

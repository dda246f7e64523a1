import { invalid } from "../../../shared/errors.ts";
import { bitsEqual, decimal, maskComments, type SourceFile } from "../source.ts";
import { errorAt, type Token } from "./lexer.ts";
import { isNamed, library, primitives } from "./library.ts";
import {
  type Argument,
  type Expression,
  type GateCall,
  type GateDefinition,
  type Operation,
  parse,
} from "./parser.ts";

interface Register {
  readonly of: "qubit" | "bit";
  readonly size: number;
  /** In the program that comes out. */
  readonly name: string;
}

const maxSteps = 300_000;
const maxFiles = 100;
const maxNesting = 200;

export function isOpenQasm2(source: string): boolean {
  return /^\s*OPENQASM\s+2(?:\.\d+)?\s*;/.test(maskComments(source));
}

/**
 * Brings a program of OpenQASM 2 to gates, numbers and comparisons that the compiler underneath, which reads every
 * version as the third, takes as version 2 means them: parameters are real numbers (the compiler makes them angles below
 * 2π, so that half of a negative one is wrong), a register is a number whose lowest bit is its element 0 (the compiler
 * reads it the other way round), and the gates of `qelib1.inc` are those of Qiskit's. Gates of the program are written out.
 *
 * @param files the first is the program; the others may be included by it, also as `qelib1.inc`
 * @throws invalid with file, line and column of what is wrong; also past 300,000 steps: gates with their qubits and parameters
 */
export function elaborate(files: readonly SourceFile[]): string {
  const gates = new Map<string, GateDefinition>();
  const registers = new Map<string, Register>();
  const taken = new Set<string>();
  const lines: string[] = [];
  let steps = 0;
  let hasHeader = false;
  let included = 0;

  function include(file: SourceFile): void {
    included += 1;
    if (included > maxFiles)
      throw invalid(`The program includes more than ${maxFiles} files.`, { field: "files" });
    for (const statement of parse(file.name, file.text)) {
      switch (statement.kind) {
        case "include": {
          const found = files.find(({ name }) => name === statement.file);
          if (found !== undefined) include(found);
          else if (statement.file === "qelib1.inc") hasHeader = true;
          else {
            throw errorAt(
              file.name,
              statement.at,
              'is not among the files of the program, nor is it "qelib1.inc"',
            );
          }
          break;
        }
        case "register": {
          const name = statement.name.text;
          if (registers.has(name)) throw errorAt(file.name, statement.name, "is declared twice");
          const written = nameFor(name);
          registers.set(name, { of: statement.of, size: statement.size, name: written });
          lines.push(`${statement.of === "qubit" ? "qreg" : "creg"} ${written}[${statement.size}];`);
          break;
        }
        case "gate":
          checkGate(file.name, statement.gate);
          gates.set(statement.gate.name.text, statement.gate);
          break;
        case "opaque":
          break; // only a call of it has no meaning here
        case "if": {
          const register = registerOf(file.name, statement.register, "bit");
          count(register.size);
          const condition = bitsEqual(register.name, register.size, statement.value);
          const inside = operationsOf(file.name, statement.operation);
          lines.push(`if ${condition} { ${inside.join(" ")} }`);
          break;
        }
        default:
          lines.push(...operationsOf(file.name, statement));
      }
    }
  }

  /** Names of gates in the header that the compiler reads cannot be those of registers. */
  function nameFor(name: string): string {
    let written = reserved.test(name) || primitives.has(name) || library.has(name) ? `${name}_` : name;
    while (taken.has(written)) written += "_";
    taken.add(written);
    return written;
  }

  function checkGate(file: string, gate: GateDefinition): void {
    if (gates.has(gate.name.text)) throw errorAt(file, gate.name, "is defined twice");
    const qubits = new Set(gate.qubits);
    for (const call of gate.body) {
      for (const { name, index } of call.arguments) {
        if (index !== undefined || !qubits.has(name.text)) {
          throw errorAt(file, name, `is none of the qubits of the gate "${gate.name.text}"`);
        }
      }
      checkCall(file, call);
    }
  }

  /** @returns the definition, or undefined for what the compiler takes as it is */
  function checkCall(file: string, call: GateCall): GateDefinition | undefined {
    const name = call.name.text;
    const own = gates.get(name);
    if (own === undefined && !isNamed(name, hasHeader)) {
      throw errorAt(
        file,
        call.name,
        hasHeader
          ? "is no gate that is defined before, here or in qelib1.inc"
          : 'is no gate that is defined before; most come with: include "qelib1.inc";',
      );
    }
    const definition = own ?? library.get(name);
    const parameters = definition?.parameters.length ?? primitives.get(name)?.parameters ?? 0;
    const qubits = definition?.qubits.length ?? primitives.get(name)?.qubits ?? 1;
    if (call.parameters.length !== parameters) {
      throw errorAt(file, call.name, `takes ${parameters} parameters, not ${call.parameters.length}`);
    }
    if (call.arguments.length !== qubits) {
      throw errorAt(file, call.name, `takes ${qubits} qubits, not ${call.arguments.length}`);
    }
    return own ?? (primitives.has(name) ? undefined : definition);
  }

  function registerOf(file: string, name: Token, of: Register["of"]): Register {
    const register = registers.get(name.text);
    if (register?.of !== of) {
      throw errorAt(
        file,
        name,
        `is no register of ${of === "qubit" ? "qubits (qreg)" : "bits (creg)"} declared before`,
      );
    }
    return register;
  }

  /** The elements that it names. */
  function elements(file: string, argument: Argument, of: Register["of"]): readonly string[] {
    const { name, size } = registerOf(file, argument.name, of);
    if (argument.index === undefined) {
      count(size);
      return Array.from({ length: size }, (_, index) => `${name}[${index}]`);
    }
    if (argument.index >= size) {
      throw errorAt(file, argument.name, `has no element ${argument.index}: it has ${size}, from 0`);
    }
    return [`${name}[${argument.index}]`];
  }

  /** One after the other for whole registers, which must be of one size. */
  function* rows(
    file: string,
    args: readonly Argument[],
    kinds: readonly Register["of"][],
  ): Generator<readonly string[]> {
    const columns = args.map((argument, at) => elements(file, argument, kinds[at] ?? "qubit"));
    const whole = args.flatMap(({ index }, at) => (index === undefined ? [columns[at]?.length ?? 0] : []));
    const count = whole[0] ?? 1;
    const odd = args.find(({ index }, at) => index === undefined && columns[at]?.length !== count);
    if (odd !== undefined)
      throw errorAt(file, odd.name, `is not of the size ${count} of the register beside it`);
    for (let row = 0; row < count; row++) {
      yield columns.map((column, at) => (args[at]?.index === undefined ? column[row] : column[0]) ?? "");
    }
  }

  function operationsOf(file: string, operation: Operation): readonly string[] {
    const out: string[] = [];
    switch (operation.kind) {
      case "measure":
        for (const [from, to] of rows(file, [operation.from, operation.to], ["qubit", "bit"])) {
          add(out, `measure ${from} -> ${to};`);
        }
        break;
      case "reset":
        for (const qubit of elements(file, operation.argument, "qubit")) add(out, `reset ${qubit};`);
        break;
      case "barrier": {
        const qubits = operation.arguments.flatMap((argument) => elements(file, argument, "qubit"));
        add(out, `barrier ${qubits.join(", ")};`);
        break;
      }
      default: {
        const definition = checkCall(file, operation);
        const values = operation.parameters.map((parameter) => evaluate(parameter, new Map()));
        for (const row of rows(
          file,
          operation.arguments,
          operation.arguments.map(() => "qubit" as const),
        )) {
          if (new Set(row).size < row.length) throw errorAt(file, operation.name, "is given one qubit twice");
          write(out, file, operation, definition, values, row, 0);
        }
      }
    }
    return out;
  }

  function write(
    out: string[],
    file: string,
    call: GateCall,
    definition: GateDefinition | undefined,
    values: readonly number[],
    qubits: readonly string[],
    depth: number,
  ): void {
    count(values.length + qubits.length);
    if (depth > maxNesting) throw errorAt(file, call.name, `calls gates in gates over ${maxNesting} deep`);
    const wrong = values.find((value) => !Number.isFinite(value));
    if (wrong !== undefined)
      throw errorAt(file, call.name, `is given the parameter ${wrong}, which is no number`);
    if (definition === undefined) {
      const parameters = values.length === 0 ? "" : `(${values.map(angle).join(", ")})`;
      add(out, `${call.name.text}${parameters} ${qubits.join(", ")};`);
      return;
    }
    const given = new Map(definition.parameters.map((name, at) => [name, values[at] ?? Number.NaN]));
    const operands = new Map(definition.qubits.map((name, at) => [name, qubits[at] ?? ""]));
    for (const inner of definition.body) {
      write(
        out,
        definition.file,
        inner,
        innerDefinition(definition, inner.name.text),
        inner.parameters.map((parameter) => evaluate(parameter, given)),
        inner.arguments.map(({ name }) => operands.get(name.text) ?? ""),
        depth + 1,
      );
    }
  }

  function evaluate({ value, size }: Expression, given: ReadonlyMap<string, number>): number {
    count(size - 1);
    return value(given);
  }

  /** The header's own gates mean each other, whatever the program calls its own. */
  function innerDefinition(outer: GateDefinition, name: string): GateDefinition | undefined {
    const own = library.get(outer.name.text) === outer ? undefined : gates.get(name);
    return own ?? (primitives.has(name) ? undefined : library.get(name));
  }

  function add(out: string[], text: string): void {
    count();
    out.push(text);
  }

  /** All that takes time or room: calls of gates with their qubits and parameters, also where they do nothing. */
  function count(more = 1): void {
    steps += more;
    if (steps > maxSteps) {
      throw invalid(`The program comes to more than ${maxSteps} steps when its gates are written out.`, {
        field: "source",
      });
    }
  }

  const [first] = files;
  if (first !== undefined) include(first);
  return `OPENQASM 2.0;\ninclude "qelib1.inc";\n${lines.join("\n")}\n`;
}

/** Words that later versions, and so the compiler, keep to themselves, or use for numbers and functions. */
const reserved =
  /^(?:angle|array|arccos|arcsin|arctan|bit|bool|box|break|cal|case|ceiling|complex|const|continue|cos|ctrl|def|default|defcal|delay|duration|durationof|else|end|euler|exp|extern|false|float|floor|for|gphase|im|in|input|int|inv|let|log|mod|mutable|negctrl|output|pi|popcount|pow|pragma|qubit|readonly|real|return|rotl|rotr|sin|sizeof|sqrt|stretch|switch|tan|tau|true|uint|void|while|cphase|phase|u1|u2|u3|id|gate|opaque|creg|qreg|measure|reset|barrier|if|include)$/;

/** From 0 to below 2π: full turns of one of our primitives change the phase of the whole alone. */
function angle(value: number): string {
  const turn = 2 * Math.PI;
  return decimal(((value % turn) + turn) % turn);
}

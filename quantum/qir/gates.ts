import { callOf, type QirModule } from "./module.ts";

/** Gates of QIR by the name within `__quantum__qis__<name>__<body|adj>`. */
export interface Gate {
  /** Angles before the qubits. */
  readonly angles: number;
  readonly qubits: number;
  /** The call in Q#, with `{a0}` for angles and `{q0}` for qubits. */
  readonly qsharp: string;
}

const one = (qsharp: string): Gate => ({ angles: 0, qubits: 1, qsharp: `${qsharp}({q0})` });
const two = (qsharp: string): Gate => ({ angles: 0, qubits: 2, qsharp: `${qsharp}({q0}, {q1})` });
const turn = (qsharp: string): Gate => ({ angles: 1, qubits: 1, qsharp: `${qsharp}({a0}, {q0})` });
const coupling = (qsharp: string): Gate => ({ angles: 1, qubits: 2, qsharp: `${qsharp}({a0}, {q0}, {q1})` });

/** The gates of the QIR specification's instruction set and those that compilers of Q#, OpenQASM and Qiskit emit. */
export const gates: ReadonlyMap<string, Gate> = new Map([
  ["h__body", one("H")],
  ["x__body", one("X")],
  ["y__body", one("Y")],
  ["z__body", one("Z")],
  ["s__body", one("S")],
  ["s__adj", one("Adjoint S")],
  ["t__body", one("T")],
  ["t__adj", one("Adjoint T")],
  ["sx__body", one("SX")],
  ["rx__body", turn("Rx")],
  ["ry__body", turn("Ry")],
  ["rz__body", turn("Rz")],
  ["cx__body", two("CNOT")],
  ["cnot__body", two("CNOT")],
  ["cy__body", two("CY")],
  ["cz__body", two("CZ")],
  ["swap__body", two("SWAP")],
  ["rxx__body", coupling("Rxx")],
  ["ryy__body", coupling("Ryy")],
  ["rzz__body", coupling("Rzz")],
  ["ccx__body", { angles: 0, qubits: 3, qsharp: "CCNOT({q0}, {q1}, {q2})" }],
]);

export const measurements: ReadonlySet<string> = new Set(["m__body", "mz__body", "mresetz__body"]);

/** `h__body` of `__quantum__qis__h__body`; undefined for other functions. */
export function instructionName(callee: string): string | undefined {
  return /^__quantum__qis__(\w+)$/.exec(callee)?.[1];
}

/** How many gates and measurements a program has, as prices count them. */
export interface GateCounts {
  readonly oneQubit: number;
  readonly twoQubit: number;
  /** Gates on three or more qubits, by the number of their qubits. */
  readonly wider: Readonly<Record<number, number>>;
  readonly measurements: number;
  readonly qubits: number;
  /** Without branches every counted gate happens exactly once; with them the count is of the text. */
  readonly exact: boolean;
}

/** Counts the calls of gates in the entry point and, through calls, in the functions of the module itself. */
export function countGates(module: QirModule): GateCounts {
  const total = { oneQubit: 0, twoQubit: 0, measurements: 0 };
  const wider: Record<number, number> = {};
  let exact = true;
  let visited = 0;
  const visit = (name: string, depth: number): void => {
    const definition = module.functions.get(name);
    if (definition === undefined || depth > maxDepth || visited > maxInstructions) return;
    if (definition.blocks.length > 1) exact = false;
    for (const instruction of definition.blocks.flatMap(({ instructions }) => instructions)) {
      visited += 1;
      const callee = callOf(instruction)?.callee;
      if (callee === undefined) continue;
      const operation = instructionName(callee);
      if (operation === undefined) {
        visit(callee, depth + 1);
        continue;
      }
      if (measurements.has(operation)) total.measurements += 1;
      const qubits = gates.get(operation)?.qubits;
      if (qubits === 1) total.oneQubit += 1;
      else if (qubits === 2) total.twoQubit += 1;
      else if (qubits !== undefined) wider[qubits] = (wider[qubits] ?? 0) + 1;
    }
  };
  visit(module.entryPoint.name, 0);
  return { ...total, wider, qubits: module.requiredQubits, exact };
}

/** Deeper nesting is recursion, which QIR does not allow. */
const maxDepth = 32;
const maxInstructions = 1_000_000;

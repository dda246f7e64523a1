/** A circuit as the compiler gives it: columns of operations over numbered qubits. */
export interface Circuit {
  readonly qubits: readonly { readonly id: number; readonly numResults?: number }[];
  readonly componentGrid: readonly { readonly components: readonly CircuitOperation[] }[];
}

export type CircuitOperation =
  | (OperationBase & {
      readonly kind: "unitary";
      readonly targets: readonly Register[];
      readonly controls?: readonly (Register & { readonly inverted?: boolean })[];
      readonly isAdjoint?: boolean;
    })
  | (OperationBase & {
      readonly kind: "measurement";
      readonly qubits: readonly Register[];
      readonly results: readonly Register[];
    })
  | (OperationBase & { readonly kind: "ket"; readonly targets: readonly Register[] });

interface OperationBase {
  readonly gate: string;
  readonly args?: readonly string[];
}

/** A qubit, or with `result` one of its measurement results. */
interface Register {
  readonly qubit: number;
  readonly result?: number;
}

/** Wider circuits are cut: nobody reads them as text. */
const maxColumns = 400;

/**
 * The circuit as text: one line per qubit, time from left to right, `●` and `○` for controls, `M` for measurements,
 * `|0⟩` for resets, and `X?q0` for a gate that happens only where the earlier result of q0 asks for it.
 */
export function circuitText(circuit: Circuit): string {
  const rows = new Map(circuit.qubits.map(({ id }, index) => [id, index]));
  const names = circuit.qubits.map(({ id }) => `q${id} `);
  const nameWidth = Math.max(0, ...names.map((name) => name.length));
  const wires = names.map((name) => name.padEnd(nameWidth));
  const gaps = names.map(() => " ".repeat(nameWidth));
  for (const { components } of circuit.componentGrid.slice(0, maxColumns)) {
    const column = drawColumn(components, rows, wires.length);
    for (let row = 0; row < wires.length; row++) {
      wires[row] += `─${fill(column.wires[row] ?? "─", column.width, "─")}─`;
      gaps[row] += ` ${fill(column.gaps[row] ?? " ", column.width, " ")} `;
    }
  }
  const cut = circuit.componentGrid.length - maxColumns;
  const lines = wires.flatMap((wire, row) => [wire, gaps[row] ?? ""]).map((line) => line.trimEnd());
  if (cut > 0) lines.push(`… and ${cut} more columns`);
  while (lines.at(-1) === "") lines.pop();
  return `${lines.join("\n")}\n`;
}

function drawColumn(
  components: readonly CircuitOperation[],
  rows: ReadonlyMap<number, number>,
  height: number,
) {
  const wires: string[] = new Array<string>(height).fill("─");
  const gaps: string[] = new Array<string>(height).fill(" ");
  for (const operation of components) {
    const marks = marksOf(operation).map(([qubit, text]) => [rows.get(qubit) ?? 0, text] as const);
    const touched = marks.map(([row]) => row);
    const top = touched.reduce((least, row) => Math.min(least, row), height);
    const bottom = touched.reduce((most, row) => Math.max(most, row), -1);
    for (let row = top; row < bottom; row++) {
      gaps[row] = "│";
      if (row > top) wires[row] = "┼";
    }
    for (const [row, text] of marks) wires[row] = text;
  }
  return { wires, gaps, width: wires.reduce((most, text) => Math.max(most, text.length), 1) };
}

function marksOf(operation: CircuitOperation): readonly (readonly [qubit: number, text: string])[] {
  switch (operation.kind) {
    case "measurement":
      return operation.qubits.map(({ qubit }) => [qubit, "M"]);
    case "ket":
      return operation.targets.map(({ qubit }) => [qubit, `|${operation.gate}⟩`]);
    case "unitary": {
      const values = operation.args?.length ? `(${operation.args.join(",")})` : "";
      const label = `${operation.gate}${operation.isAdjoint ? "'" : ""}${values}`;
      const controls = operation.controls ?? [];
      const quantum = controls.filter(({ result }) => result === undefined);
      const deciding = controls.filter(({ result }) => result !== undefined).map(({ qubit }) => `?q${qubit}`);
      return [
        ...quantum.map(({ qubit, inverted }) => [qubit, inverted ? "○" : "●"] as const),
        ...operation.targets.map(({ qubit }) => [qubit, label + deciding.join("")] as const),
      ];
    }
  }
}

function fill(text: string, width: number, filler: string): string {
  const left = Math.floor((width - text.length) / 2);
  return filler.repeat(left) + text + filler.repeat(width - text.length - left);
}

/** A complex number. */
export type Complex = readonly [re: number, im: number];
/** By row, then column. */
export type Matrix = readonly (readonly Complex[])[];
/** Amplitudes; qubit 0 is the lowest bit of the index. */
export type State = readonly Complex[];

const times = ([a, b]: Complex, [c, d]: Complex): Complex => [a * c - b * d, a * d + b * c];
const plus = ([a, b]: Complex, [c, d]: Complex): Complex => [a + c, b + d];
const turn = (angle: number): Complex => [Math.cos(angle), Math.sin(angle)];

/** U(θ, φ, λ) as section 3 of the OpenQASM 2 paper has it, but for a phase: its first element is real. */
export function u(theta: number, phi: number, lambda: number): Matrix {
  const [cos, sin] = [Math.cos(theta / 2), Math.sin(theta / 2)];
  return [
    [[cos, 0], times([-sin, 0], turn(lambda))],
    [times([sin, 0], turn(phi)), times([cos, 0], turn(phi + lambda))],
  ];
}

/** exp(−iθP/2) */
export function rotation(axis: "X" | "Y" | "Z", theta: number): Matrix {
  if (axis === "Z") return phase(1, (i) => (i === 0 ? -theta / 2 : theta / 2));
  return axis === "X" ? u(theta, -Math.PI / 2, Math.PI / 2) : u(theta, 0, 0);
}

/** A diagonal matrix of phases. @param angle by the index of the basis state */
export function phase(qubits: number, angle: (index: number) => number): Matrix {
  const size = 2 ** qubits;
  return Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (_, column): Complex => (row === column ? turn(angle(row)) : [0, 0])),
  );
}

/** The last qubit's gate under all qubits before it. @param angle a phase that it has where the controls are on */
export function controlled(gate: Matrix, controls: number, angle = 0): Matrix {
  const [size, mask] = [2 ** (controls + 1), 2 ** controls - 1];
  return Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (_, column): Complex => {
      if ((row & mask) !== mask || (column & mask) !== mask) return row === column ? [1, 0] : [0, 0];
      return times(turn(angle), gate[row >> controls]?.[column >> controls] ?? [0, 0]);
    }),
  );
}

export function apply(matrix: Matrix, state: State): State {
  return matrix.map((row) =>
    row.reduce<Complex>((sum, value, at) => plus(sum, times(value, state[at] ?? [0, 0])), [0, 0]),
  );
}

/** Normalised, from a small generator of its own. */
export function randomState(qubits: number, seed: number): State {
  let seeded = seed * 2654435761;
  const next = () => {
    seeded = (seeded * 1103515245 + 12345) % 2147483648;
    return seeded / 2147483648 - 0.5;
  };
  const raw = Array.from({ length: 2 ** qubits }, (): Complex => [next(), next()]);
  const norm = Math.sqrt(raw.reduce((sum, [re, im]) => sum + re * re + im * im, 0));
  return raw.map(([re, im]): Complex => [re / norm, im / norm]);
}

/** 0 where the two are equal up to a phase: 1 − |⟨a|b⟩|. */
export function distance(a: State, b: State): number {
  const [re, im] = a.reduce<Complex>((sum, [x, y], at) => plus(sum, times([x, -y], b[at] ?? [0, 0])), [0, 0]);
  return Math.abs(1 - Math.hypot(re, im));
}

const named: Readonly<Record<string, (parameters: readonly number[]) => Matrix>> = {
  id: () => phase(1, () => 0),
  x: () => u(Math.PI, 0, Math.PI),
  y: () => u(Math.PI, Math.PI / 2, Math.PI / 2),
  z: () => phase(1, (i) => i * Math.PI),
  h: () => u(Math.PI / 2, 0, Math.PI),
  s: () => phase(1, (i) => (i * Math.PI) / 2),
  sdg: () => phase(1, (i) => (-i * Math.PI) / 2),
  t: () => phase(1, (i) => (i * Math.PI) / 4),
  tdg: () => phase(1, (i) => (-i * Math.PI) / 4),
  ry: ([theta = 0]) => rotation("Y", theta),
  rz: ([theta = 0]) => rotation("Z", theta),
  u1: ([lambda = 0]) => phase(1, (i) => i * lambda),
  u3: ([theta = 0, phi = 0, lambda = 0]) => u(theta, phi, lambda),
  cx: () => controlled(u(Math.PI, 0, Math.PI), 1),
  cy: () => controlled(u(Math.PI, Math.PI / 2, Math.PI / 2), 1),
  cz: () =>
    controlled(
      phase(1, (i) => i * Math.PI),
      1,
    ),
  ccx: () => controlled(u(Math.PI, 0, Math.PI), 2),
};

/** Runs a program of these gates on numbered qubits of the register `q`. */
export function run(program: string, qubits: number, before: State): State {
  let state = before;
  for (const [, name = "", given, operands = ""] of program.matchAll(
    /^(?!qreg)(\w+)(?:\(([^)]*)\))? (q\[.*\]);$/gm,
  )) {
    const gate = named[name];
    if (gate === undefined) throw new Error(`The gate ${name} is none of the small ones.`);
    const on = [...operands.matchAll(/\[(\d+)\]/g)].map(([, at]) => Number(at));
    state = applyTo(gate((given ?? "").split(",").map(Number)), on, state, qubits);
  }
  return state;
}

function applyTo(matrix: Matrix, on: readonly number[], state: State, qubits: number): State {
  const others = 2 ** qubits - 1 - on.reduce((mask, at) => mask | (1 << at), 0);
  const out = Array.from({ length: state.length }, (): Complex => [0, 0]);
  const place = (local: number) => on.reduce((sum, at, bit) => sum | (((local >> bit) & 1) << at), 0);
  for (let rest = 0; rest < state.length; rest++) {
    if ((rest & others) !== rest) continue;
    const inside = Array.from(
      { length: matrix.length },
      (_, local) => state[rest | place(local)] ?? ([0, 0] as const),
    );
    for (const [local, value] of apply(matrix, inside).entries()) out[rest | place(local)] = value;
  }
  return out;
}

import { afterAll, describe, expect, it } from "vitest";
import { elaborate, isOpenQasm2 } from "../../../quantum/programs/openqasm2/index.ts";
import { primitives } from "../../../quantum/programs/openqasm2/library.ts";
import { programOf } from "../../../quantum/programs/program.ts";
import { runHistogram } from "../../../quantum/results/results.ts";
import { expectationOf, judge } from "../../../quantum/results/verdict.ts";
import { createSimulator } from "../../../quantum/simulator/simulator.ts";
import { createWorkerPool } from "../../../shared/jobs/index.ts";
import {
  apply,
  controlled,
  distance,
  type Matrix,
  phase,
  randomState,
  rotation,
  run,
  u,
} from "../../support/small-states.ts";

const workers = createWorkerPool({ threads: 1 });
const simulator = createSimulator({ workers });
afterAll(() => workers.close());

const header = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n';
const elaborated = (text: string) => elaborate([{ name: "main.qasm", text: header + text }]);

async function outcomes(text: string): Promise<Record<string, number>> {
  const program = programOf({ language: "openqasm", source: header + text });
  const { outcomes } = runHistogram(
    await simulator.run(program, 50, null, { signal: new AbortController().signal }),
  );
  return Object.fromEntries(outcomes.map(({ outcome, count }) => [outcome, count]));
}

const x = u(Math.PI, 0, Math.PI);
const sx: Matrix = [
  [
    [0.5, 0.5],
    [0.5, -0.5],
  ],
  [
    [0.5, -0.5],
    [0.5, 0.5],
  ],
];
const swap = [0, 2, 1, 3];
const swap8 = [0, 1, 2, 3, 4, 5, 6, 7];
const [a, b, c, d] = [-0.7, 4.1, -5.3, 9.2];

/** Written down from the definition of each gate and not from its decomposition; the first qubit is the lowest bit. */
const gates: readonly (readonly [call: string, qubits: number, matrix: Matrix])[] = [
  ["id q[0]", 1, phase(1, () => 0)],
  ["u0(1) q[0]", 1, phase(1, () => 0)],
  ["x q[0]", 1, x],
  ["h q[0]", 1, u(Math.PI / 2, 0, Math.PI)],
  ["sx q[0]", 1, sx],
  ["sx q[0]; sxdg q[0]", 1, phase(1, () => 0)],
  [`p(${a}) q[0]`, 1, phase(1, (i) => i * a)],
  [`u1(${a}) q[0]`, 1, phase(1, (i) => i * a)],
  [`u2(${a},${b}) q[0]`, 1, u(Math.PI / 2, a, b)],
  [`u3(${a},${b},${c}) q[0]`, 1, u(a, b, c)],
  [`u(${d},${b},${c}) q[0]`, 1, u(d, b, c)],
  [`U(${d},${b},${c}) q[0]`, 1, u(d, b, c)],
  [`rx(${a}) q[0]`, 1, rotation("X", a)],
  [`ry(${a}) q[0]`, 1, rotation("Y", a)],
  [`rz(${a}) q[0]`, 1, rotation("Z", a)],
  ["CX q[0],q[1]", 2, controlled(x, 1)],
  ["cz q[0],q[1]", 2, phase(2, (i) => (i === 3 ? Math.PI : 0))],
  ["ch q[0],q[1]", 2, controlled(u(Math.PI / 2, 0, Math.PI), 1)],
  ["csx q[0],q[1]", 2, controlled(sx, 1)],
  ["cy q[0],q[1]", 2, controlled(u(Math.PI, Math.PI / 2, Math.PI / 2), 1)],
  ["swap q[0],q[1]", 2, swap.map((to) => swap.map((_, i) => [i === to ? 1 : 0, 0]))],
  [`crx(${a}) q[0],q[1]`, 2, controlled(rotation("X", a), 1)],
  [`cry(${a}) q[0],q[1]`, 2, controlled(rotation("Y", a), 1)],
  [`crz(${d}) q[0],q[1]`, 2, controlled(rotation("Z", d), 1)],
  [`cp(${a}) q[0],q[1]`, 2, phase(2, (i) => (i === 3 ? a : 0))],
  [`cu1(${d}) q[0],q[1]`, 2, phase(2, (i) => (i === 3 ? d : 0))],
  [`cu3(${a},${b},${c}) q[0],q[1]`, 2, controlled(u(a, b, c), 1)],
  [`cu(${a},${b},${c},${d}) q[0],q[1]`, 2, controlled(u(a, b, c), 1, d)],
  [`rzz(${a}) q[0],q[1]`, 2, phase(2, (i) => (i === 0 || i === 3 ? -a / 2 : a / 2))],
  ["cswap q[0],q[1],q[2]", 3, [0, 1, 2, 5, 4, 3, 6, 7].map((to) => swap8.map((i) => [i === to ? 1 : 0, 0]))],
  ["ccx q[0],q[1],q[2]", 3, controlled(x, 2)],
  ["c3x q[0],q[1],q[2],q[3]", 4, controlled(x, 3)],
  ["c3sqrtx q[0],q[1],q[2],q[3]", 4, controlled(sx, 3)],
  ["c4x q[0],q[1],q[2],q[3],q[4]", 5, controlled(x, 4)],
];

describe("a gate of qelib1.inc", () => {
  it.each(gates)("%s is its matrix, up to a phase of the whole", (call, qubits, matrix) => {
    for (let seed = 1; seed <= 5; seed++) {
      const before = randomState(qubits, seed);
      const after = run(elaborated(`qreg q[${qubits}]; ${call};`), qubits, before);
      expect(distance(after, apply(matrix, before))).toBeLessThan(1e-12);
    }
  });

  it.each(["rxx", "ryy"])("%s is rzz in another basis", (name) => {
    const [there, back] = name === "rxx" ? ["h", "h"] : ["rx(pi/2)", "rx(-pi/2)"];
    const before = randomState(2, 7);
    const own = run(elaborated(`qreg q[2]; ${name}(${a}) q[0],q[1];`), 2, before);
    const turned = run(elaborated(`qreg q[2]; ${there} q; rzz(${a}) q[0],q[1]; ${back} q;`), 2, before);
    expect(distance(own, turned)).toBeLessThan(1e-12);
  });

  it("rccx and rc3x are the Toffoli gates of three and four but for phases", () => {
    for (const [name, qubits] of [
      ["rccx", 3],
      ["rc3x", 4],
    ] as const) {
      const operands = Array.from({ length: qubits }, (_, at) => `q[${at}]`).join(",");
      const text = elaborated(`qreg q[${qubits}]; ${name} ${operands};`);
      const ideal = controlled(x, qubits - 1);
      for (let basis = 0; basis < 2 ** qubits; basis++) {
        const before = Array.from({ length: 2 ** qubits }, (_, i) => [i === basis ? 1 : 0, 0] as const);
        expect(distance(run(text, qubits, before), apply(ideal, before))).toBeLessThan(1e-12);
      }
    }
  });
});

describe("the gates that the compiler is given", () => {
  const calls = [...primitives].map(([name, { parameters, qubits }]) => {
    const operands = Array.from({ length: qubits }, (_, at) => `q[${at}]`).join(",");
    return `${name}${parameters === 0 ? "" : `(${[d, b, c].slice(0, parameters).join(",")})`} ${operands};`;
  });

  it.each(calls)("are what their matrices say: %s", async (call) => {
    const turns = (angles: readonly number[]) =>
      angles.map((angle, at) => `u3(${angle},${angle + 1},${angle + 2}) q[${at}];`).join(" ");
    const text = `qreg q[3]; creg c[3]; ${turns([0.4, 1.1, 2.3])} ${call} ${turns([0.9, 1.7, 0.3])}`;
    const start = Array.from({ length: 8 }, (_, i) => [i === 0 ? 1 : 0, 0] as const);
    const state = run(elaborated(text).replace("creg c[3];\n", ""), 3, start);
    const expected = Object.fromEntries(
      state.map(([re, im], i) => [[i & 1, (i >> 1) & 1, i >> 2].join(""), re * re + im * im]),
    );
    const shots = await simulator.run(
      programOf({ language: "openqasm", source: `${header}${text} measure q -> c;` }),
      500,
      null,
      { signal: new AbortController().signal },
    );
    expect(
      judge(runHistogram(shots), expectationOf(expected), {
        alpha: 1e-6,
        comparisons: 1,
        noiseless: true,
        allowedDistance: 0,
        detectDistance: undefined,
      }),
    ).toMatchObject({ verdict: "consistent" });
  });
});

describe("a program of OpenQASM 2, run", () => {
  it.each([
    ["element 0 is the lowest bit", "creg s[2]; x q[0]; measure q[0]->s[0]; if(s==1) x q[2];", "10 1"],
    ["element 1 is the next", "creg s[2]; x q[1]; measure q[1]->s[1]; if(s==2) x q[2];", "01 1"],
    ["all bits count", "creg s[2]; x q[0]; x q[1]; measure q[0]->s[0]; if(s==3) x q[2];", "10 0"],
    ["zero is no bit", "creg s[2]; measure q[0]->s[0]; if(s==0) x q[2];", "00 1"],
    ["a number too large is never there", "creg s[2]; x q[0]; measure q[0]->s[0]; if(s==5) x q[2];", "10 0"],
    ["a register of one", "creg s[1]; x q[0]; measure q[0]->s[0]; if(s==1) x q[2];", "1 1"],
  ])("compares a register as a number: %s", async (_, text, outcome) => {
    expect(await outcomes(`qreg q[3]; ${text} creg r[1]; measure q[2]->r[0];`)).toEqual({ [outcome]: 50 });
  });

  it("decides once on all that stands behind an if", async () => {
    const text = "qreg q[2]; creg c[2]; x q; if(c==0) measure q -> c;";
    expect(await outcomes(text)).toEqual({ "11": 50 });
  });

  it.each([
    ["gate g(a) c,t {ry(a/2) t;cx c,t;ry(-a/2) t;cx c,t;} qreg q[2]; g(pi/2) q[0],q[1];", "00"],
    ["gate g(a) t {rx(a/2) t; rx(a/2) t;} qreg q[2]; g(-pi) q[0]; rx(pi) q[0];", "00"],
    ["qreg q[2]; h q[0]; crz(2*pi) q[0],q[1]; h q[0];", "10"],
    ["qreg q[2]; x q[0]; csx q[0],q[1]; csx q[0],q[1];", "11"],
    ["qreg q[2]; rx(1) q[0]; rx(-3/2) q[0]; rx(sin(pi/6)) q[0];", "00"],
    ["gate g(a) t {rx(a*a) t; rx(-1/a) t; rx(ln(a)) t; u0(1) t;} qreg q[2]; g(1) q;", "00"],
    ["qreg q[2]; rx(pi) q[0]; ry(-pi/2) q[0]; h q[0];", "00"],
    ["opaque never(a) q; qreg q[2]; x q[1];", "01"],
  ])("takes parameters as real numbers: %s", async (text, outcome) => {
    expect(await outcomes(`${text} creg c[2]; measure q -> c;`)).toEqual({ [outcome]: 50 });
  });

  it("reads its own header from its files", async () => {
    const files = [
      {
        name: "main.qasm",
        text: '\uFEFFOPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; flip q; measure q->c;',
      },
      { name: "qelib1.inc", text: "gate flip a { U(pi,0,pi) a; }" },
    ];
    const raw = await simulator.run(programOf({ language: "openqasm", files }), 20, null, {
      signal: new AbortController().signal,
    });
    expect(runHistogram(raw).outcomes).toMatchObject([{ outcome: "1", count: 20 }]);
  });
});

describe("the version", () => {
  it.each([
    ["OPENQASM 2.0;", true],
    ["/* a */ // b\n /* OPENQASM 3; */ OPENQASM 2;", true],
    ["OPENQASM 3.0;", false],
    ["// OPENQASM 2.0;\nOPENQASM 3.0;", false],
    ["qubit q;", false],
    [`${"/* a */".repeat(70_000)}qubit q;`, false],
    ["/*".repeat(200_000), false],
  ])("is read in time that grows with the text alone: %.40s", (text, expected) => {
    expect(isOpenQasm2(text)).toBe(expected);
  });
});

describe("what is no program of OpenQASM 2", () => {
  it.each([
    ["qreg q[1]; y2 q[0];", "main.qasm:3:12", "is no gate that is defined before"],
    ["qreg q[1]; x q[1];", "main.qasm:3:14", "has no element 1: it has 1, from 0"],
    ["qreg q[2]; cx q[0],q[0];", "main.qasm:3:12", "one qubit twice"],
    ["qreg q[2]; qreg r[3]; cx q,r;", "main.qasm:3:28", "is not of the size 2"],
    ["qreg q[1]; rx q[0];", "main.qasm:3:12", "takes 1 parameters, not 0"],
    ["qreg q[1]; rx(1/0) q[0];", "main.qasm:3:12", "Infinity, which is no number"],
    ["qreg q[1]; rx(theta) q[0];", "main.qasm:3:15", "is no parameter of this gate"],
    ["qreg q[1];\n  if(c==1) x q[0];", "main.qasm:4:6", "is no register of bits"],
    ["opaque mine q; qreg q[1]; mine q[0];", "main.qasm:3:27", "is no gate that is defined before"],
    ["qreg q[0];", "main.qasm:3:8", "1 to 100000 elements"],
    ["qreg q[999999999];", "main.qasm:3:8", "1 to 100000 elements"],
    [`qreg q[1]; rx(${"1+".repeat(100_000)}1) q[0];`, "main.qasm:3:15", "more than 2000 parts"],
    ["qreg q[1]; x q[0]", "main.qasm:3:18", 'where ";" is expected'],
    ["gate h a { h a; h a; } qreg q[1]; h q[0];", "main.qasm:3:12", "over 200 deep"],
    ['include "other.inc";', "main.qasm:3:9", "is not among the files"],
    ["qreg q[1]; x q[0] & y q[0];", "main.qasm:3:19", "is no character"],
    [`qreg q[1]; rx(${"(".repeat(100_000)}1) q[0];`, "main.qasm:3:", "parentheses deep"],
    [`qreg q[1]; rx(${"-".repeat(100_000)}1) q[0];`, "main.qasm:3:", "signs deep"],
  ])("is refused with its place: %s", (text, place, why) => {
    expect(() => elaborated(text)).toThrow(new RegExp(`^${place.replaceAll(".", "\\.")}`));
    expect(() => elaborated(text)).toThrow(why);
  });

  it("ends at 300,000 steps, also of gates that come to nothing", () => {
    const doubling = (inner: string) =>
      Array.from({ length: 60 }, (_, at) => `gate g${at + 1} a { g${at} a; g${at} a; }`).reduce(
        (text, gate) => `${text} ${gate}`,
        `gate g0 a { ${inner} }`,
      );
    for (const inner of ["x a;", ""]) {
      expect(() => elaborated(`${doubling(inner)} qreg q[1]; g60 q[0];`)).toThrow("more than 300000 steps");
    }
    for (const often of ["barrier q;", "x q;", "if(c==1) x q[0];", "reset q;"]) {
      const text = `qreg q[5000]; creg c[5000]; ${often.repeat(20_000)}`;
      expect(() => elaborated(text)).toThrow("more than 300000 steps");
    }
    expect(() => elaborate([{ name: "a.inc", text: 'OPENQASM 2.0; include "a.inc";' }])).toThrow("100 files");
  });
});

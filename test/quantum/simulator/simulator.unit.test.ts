import { afterAll, describe, expect, it } from "vitest";
import { programOf } from "../../../quantum/programs/program.ts";
import { runHistogram } from "../../../quantum/results/results.ts";
import { expectationOf, judge, uniformExpectation } from "../../../quantum/results/verdict.ts";
import { circuitText } from "../../../quantum/simulator/circuit.ts";
import { limitMemory } from "../../../quantum/simulator/compiler.ts";
import { createSimulator, ProgramError } from "../../../quantum/simulator/simulator.ts";
import { createWorkerPool } from "../../../shared/jobs/index.ts";

const workers = createWorkerPool({ threads: 1 });
const simulator = createSimulator({ workers });
const call = { signal: new AbortController().signal };
afterAll(() => workers.close());

const qsharp = (source: string, entry?: string, given?: readonly unknown[]) =>
  programOf({
    language: "qsharp",
    source,
    ...(entry === undefined ? {} : { entry }),
    ...(given === undefined ? {} : { arguments: given }),
  });
const openqasm = (source: string, given?: Readonly<Record<string, unknown>>) =>
  programOf({ language: "openqasm", source, ...(given === undefined ? {} : { arguments: given }) });

/** One false alarm in ten thousand runs of a test. */
const alpha = 1e-4;
const shots = 4000;
async function verdictOf(program: ReturnType<typeof qsharp>, expected: ReturnType<typeof expectationOf>) {
  const histogram = runHistogram(await simulator.run(program, shots, null, call));
  const options = { alpha, comparisons: 1, noiseless: true, allowedDistance: 0, detectDistance: undefined };
  return judge(histogram, expected, options);
}

describe("the simulator agrees with closed forms:", () => {
  it("a Bell pair is 00 or 11", async () => {
    const bell = qsharp(`operation Main() : (Result, Result) {
      use (a, b) = (Qubit(), Qubit()); H(a); CNOT(a, b); (MResetZ(a), MResetZ(b))
    }`);
    expect(await verdictOf(bell, uniformExpectation(["00", "11"]))).toMatchObject({ verdict: "consistent" });
  });

  it.each([3, 8, 40])("a GHZ state of %i qubits is all zeros or all ones", async (qubits) => {
    const ghz = qsharp(
      `operation Ghz(n : Int) : Result[] {
      use q = Qubit[n]; H(q[0]); for i in 1..n - 1 { CNOT(q[i - 1], q[i]); } MResetEachZ(q)
    }`,
      "Ghz",
      [qubits],
    );
    const expected = uniformExpectation(["0".repeat(qubits), "1".repeat(qubits)]);
    expect(await verdictOf(ghz, expected)).toMatchObject({ verdict: "consistent" });
  });

  it.each([0, 0.3, 1, Math.PI / 2, 2.5, Math.PI])("a turn by %f shows 0 with cos²(θ/2)", async (theta) => {
    const turn = qsharp(
      "operation Turn(theta : Double) : Result { use q = Qubit(); Ry(theta, q); MResetZ(q) }",
      "Turn",
      [theta],
    );
    const zero = Math.cos(theta / 2) ** 2;
    const expected = expectationOf({ "0": zero, "1": 1 - zero });
    expect(await verdictOf(turn, expected)).toMatchObject({ verdict: "consistent" });
  });

  it("the quantum Fourier transform of a basis state is uniform, and its inverse brings the state back", async () => {
    const source = `import Std.Canon.ApplyQFT;
    operation Transform(back : Bool) : Result[] {
      use q = Qubit[3]; X(q[0]); X(q[2]); ApplyQFT(q); if back { Adjoint ApplyQFT(q); } MResetEachZ(q)
    }`;
    const all = Array.from({ length: 8 }, (_, index) => index.toString(2).padStart(3, "0"));
    expect(await verdictOf(qsharp(source, "Transform", [false]), uniformExpectation(all))).toMatchObject({
      verdict: "consistent",
    });
    expect(await verdictOf(qsharp(source, "Transform", [true]), expectationOf({ "101": 1 }))).toMatchObject({
      verdict: "consistent",
    });
  });

  it("Grover's search finds one of 4 for certain, and one of 8 with sin²(5 asin(8^-1/2)) after two rounds", async () => {
    const source = `operation Grover(n : Int, rounds : Int) : Result[] {
      use q = Qubit[n];
      ApplyToEach(H, q);
      for _ in 1..rounds {
        Controlled Z(q[0..n - 2], q[n - 1]);
        within { ApplyToEachA(H, q); ApplyToEachA(X, q); } apply { Controlled Z(q[0..n - 2], q[n - 1]); }
      }
      MResetEachZ(q)
    }`;
    expect(await verdictOf(qsharp(source, "Grover", [2, 1]), expectationOf({ "11": 1 }))).toMatchObject({
      verdict: "consistent",
    });
    const found = Math.sin(5 * Math.asin(1 / Math.sqrt(8))) ** 2;
    const others = Array.from({ length: 7 }, (_, index) => [
      index.toString(2).padStart(3, "0"),
      (1 - found) / 7,
    ]);
    const expected = expectationOf({ "111": found, ...Object.fromEntries(others) });
    expect(await verdictOf(qsharp(source, "Grover", [3, 2]), expected)).toMatchObject({
      verdict: "consistent",
    });
  });

  it("OpenQASM 2 and 3 programs run, with inputs bound", async () => {
    const three = openqasm(
      'OPENQASM 3.0; include "stdgates.inc"; input float theta; qubit[2] q; bit[2] c; ry(theta) q[0]; cx q[0], q[1]; c = measure q;',
      { theta: 1 },
    );
    const zero = Math.cos(0.5) ** 2;
    expect(await verdictOf(three, expectationOf({ "00": zero, "11": 1 - zero }))).toMatchObject({
      verdict: "consistent",
    });
    const two = openqasm('OPENQASM 2.0; include "qelib1.inc"; qreg q[3]; creg c[3]; x q[2]; measure q -> c;');
    expect(await verdictOf(two, expectationOf({ "001": 1 }))).toMatchObject({ verdict: "consistent" });
  });

  it("Pauli noise on an idle measurement flips it with pX + pY", async () => {
    const idle = qsharp("operation Main() : Result { use q = Qubit(); I(q); MResetZ(q) }");
    const noise = { pX: 0.05, pY: 0.05, pZ: 0, loss: 0 };
    const histogram = runHistogram(await simulator.run(idle, shots, noise, call));
    const ones = histogram.outcomes.find(({ outcome }) => outcome === "1")?.count ?? 0;
    // How often noise strikes is the simulator's affair; that it strikes at this rate or a small multiple is ours.
    expect(ones / shots).toBeGreaterThan(0.05);
    expect(ones / shots).toBeLessThan(0.35);
  });
});

describe("wrong programs", () => {
  it("are answered with every place that is wrong", async () => {
    const wrong = qsharp("operation Main() : Int {\n  let x = Nope();\n  1.5\n}");
    const { diagnostics } = await simulator.check(wrong, "unrestricted", call);
    expect(diagnostics).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          file: "main.qs",
          line: 2,
          column: 11,
          severity: "error",
          code: "Qdk.Qsc.Resolve.NotFound",
        }),
        expect.objectContaining({ file: "main.qs", line: 3, code: "Qdk.Qsc.TypeCk.TyMismatch" }),
      ]),
    );
    await expect(simulator.run(wrong, 1, null, call)).rejects.toThrow(/^main\.qs:2:11: .*Nope/);
  });

  it("that do not fit a profile are told where", async () => {
    const adaptive = qsharp(
      "operation Main() : Result {\n  use (a, b) = (Qubit(), Qubit());\n  H(a);\n  if M(a) == One { X(b); }\n  Reset(a);\n  MResetZ(b)\n}",
    );
    await expect(simulator.qir(adaptive, "base", call)).rejects.toBeInstanceOf(ProgramError);
    const { diagnostics } = await simulator.check(adaptive, "base", call);
    expect(diagnostics[0]).toMatchObject({ line: 4, severity: "error" });
    expect(diagnostics[0]?.code).toMatch(/CapabilitiesCk/);
    expect((await simulator.check(adaptive, "adaptive_ri", call)).diagnostics).toEqual([]);
  });

  it("in the entry are shown where the caller wrote them", async () => {
    const source = "operation F(n : Int) : Int { n }";
    await expect(simulator.run(qsharp(source, "F(1, 2)"), 1, null, call)).rejects.toThrow(/^entry:1:\d+: /);
    await expect(simulator.run(qsharp(source, "G", []), 1, null, call)).rejects.toThrow('no callable "G"');
    await expect(simulator.run(qsharp(source, "F", [1.5]), 1, null, call)).rejects.toThrow(
      "The argument n is 1.5",
    );
  });

  it("that fail while they run tell of the first failure", async () => {
    const failing = qsharp('operation Main() : Int { fail "on purpose"; }');
    const { failures } = await simulator.run(failing, 5, null, call);
    expect(failures.count).toBe(5);
    expect(failures.first?.message).toContain("on purpose");
  });
});

describe("what a program may use", () => {
  it("is checked before the simulator would panic", async () => {
    const program = qsharp("operation Main() : Int { 1 }");
    const noise = (pX: number, pY: number, pZ: number, loss = 0) => ({ pX, pY, pZ, loss });
    for (const wrong of [noise(0.6, 0.6, 0), noise(-0.1, 0, 0), noise(0, 0, 0, 2), noise(Number.NaN, 0, 0)]) {
      expect(() => simulator.run(program, 1, wrong, call)).toThrow("noise");
    }
    for (const wrong of [0, -1, 1.5, 100_001, Number.NaN]) {
      expect(() => simulator.run(program, wrong, null, call)).toThrow(`shots is ${wrong}`);
    }
  });

  it("ends where its memory does, and the next program runs", async () => {
    const dense = qsharp(`operation Main() : Result[] {
      use q = Qubit[25];
      for i in 0..24 { H(q[i]); Rz(0.1, q[i]); H(q[i]); }
      MResetEachZ(q)
    }`);
    await expect(simulator.run(dense, 1, null, call)).rejects.toMatchObject({
      kind: "too_large",
      message: expect.stringContaining("1024 MiB"),
    });
    const { values } = await simulator.run(qsharp("operation Main() : Int { 1 }"), 1, null, call);
    expect(values).toEqual(["1"]);
  });

  it("ends with its time, and the next program runs", async () => {
    const endless = qsharp("operation Main() : Int { mutable n = 0; while true { set n += 1; } n }");
    await expect(simulator.run(endless, 1, null, { ...call, timeLimitMs: 300 })).rejects.toMatchObject({
      kind: "too_large",
      message: expect.stringContaining("within 0.3 s"),
    });
    const { values } = await simulator.run(qsharp("operation Main() : Int { 2 }"), 1, null, call);
    expect(values).toEqual(["2"]);
  });

  it("ends when the caller goes away", async () => {
    const endless = qsharp("operation Main() : Int { mutable n = 0; while true { set n += 1; } n }");
    const controller = new AbortController();
    const running = simulator.run(endless, 1, null, { signal: controller.signal });
    controller.abort(new Error("gone"));
    await expect(running).rejects.toThrow("gone");
  });

  it("is limited by a maximum in the module's own memory section", () => {
    const module = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 0, 17, 10, 1, 0]);
    const limited = new Uint8Array(limitMemory(module, 128));
    expect([...limited]).toEqual([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 5, 1, 1, 17, 0x80, 0x10, 10, 1, 0]);
    expect(() => limitMemory(limited, 128)).toThrow("without a limit");
  });
});

describe("unit tests of a program", () => {
  it("are found, repeated, and failed at the place in the program that called", async () => {
    const program = qsharp(`import Std.Diagnostics.Fact;
@Test() operation Right() : Unit { Fact(1 + 1 == 2, "arithmetic"); }
@Test() operation Wrong() : Unit {
  Fact(1 + 1 == 3, "arithmetic");
}
@Test() operation Coin() : Unit { use q = Qubit(); H(q); Fact(MResetZ(q) == One, "heads"); }`);
    const outcomes = await simulator.test(program, 40, call);
    expect(outcomes.map(({ name, passed }) => [name, passed])).toEqual([
      ["main.Right", true],
      ["main.Wrong", false],
      ["main.Coin", false],
    ]);
    expect(outcomes[1]).toMatchObject({
      repeats: 40,
      failedRepeats: 40,
      failure: { file: "main.qs", line: 4 },
    });
    expect(outcomes[2]?.failedRepeats).toBeGreaterThan(0);
    expect(outcomes[2]?.failedRepeats).toBeLessThan(40);
  });
});

describe("circuits", () => {
  it("are drawn with controls, crossings, measurements and resets", async () => {
    const program = openqasm(
      'OPENQASM 3.0; include "stdgates.inc"; qubit[3] q; bit[3] c; h q[0]; cx q[0], q[2]; c = measure q;',
    );
    expect(circuitText(await simulator.circuit(program, "static", call))).toBe(
      ["q0 ─H──●──M─", "       │", "q1 ────┼──M─", "       │", "q2 ────X──M─", ""].join("\n"),
    );
  });

  it("show what only may happen", async () => {
    const program = qsharp(`operation Main() : Result {
      use (a, b) = (Qubit(), Qubit()); H(a); if M(a) == One { X(b); } Reset(a); MResetZ(b)
    }`);
    const text = circuitText(await simulator.circuit(program, "static", call));
    expect(text).toBe("q0 ─H──M──|0⟩──────────\n\nq1 ───────X?q0──M──|0⟩─\n");
  });
});

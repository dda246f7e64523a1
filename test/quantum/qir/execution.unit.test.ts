import { afterAll, describe, expect, it } from "vitest";
import { programOf } from "../../../quantum/programs/program.ts";
import { parseQir } from "../../../quantum/qir/module.ts";
import { qsharpOfQir } from "../../../quantum/qir/translation.ts";
import { runHistogram } from "../../../quantum/results/results.ts";
import { expectationOf, judge } from "../../../quantum/results/verdict.ts";
import { createSimulator } from "../../../quantum/simulator/simulator.ts";
import type { QirProfile } from "../../../quantum/simulator/tasks.ts";
import { createWorkerPool } from "../../../shared/jobs/index.ts";

const workers = createWorkerPool({ threads: 1 });
const simulator = createSimulator({ workers });
const call = { signal: new AbortController().signal };
afterAll(() => workers.close());

async function verdictThroughQir(source: string, profile: QirProfile, expected: Record<string, number>) {
  const qir = await simulator.qir(programOf({ language: "qsharp", source }), profile, call);
  const translated = programOf({ language: "qsharp", source: qsharpOfQir(parseQir(qir)) });
  const histogram = runHistogram(await simulator.run(translated, 4000, null, call));
  return judge(histogram, expectationOf(expected), {
    alpha: 1e-4,
    comparisons: 1,
    noiseless: true,
    allowedDistance: 0,
    detectDistance: undefined,
  });
}

const bell = `operation Main() : (Result, Result) {
  use (a, b) = (Qubit(), Qubit()); H(a); CNOT(a, b); (MResetZ(a), MResetZ(b)) }`;
const teleport = `operation Main() : Result {
  use (m, a, b) = (Qubit(), Qubit(), Qubit());
  Ry(1.0, m); H(a); CNOT(a, b); CNOT(m, a); H(m);
  if MResetZ(a) == One { X(b); } if MResetZ(m) == One { Z(b); }
  MResetZ(b) }`;
const coins = `operation Main() : (Int, Bool) {
  use q = Qubit(); mutable n = 0;
  for i in 0..2 { H(q); if MResetZ(q) == One { set n += i + 1; } }
  (n, n > 2) }`;
const untilZero = `operation Main() : Int {
  use q = Qubit(); mutable n = 0; H(q);
  while n < 3 and M(q) == One { Reset(q); H(q); set n += 1; }
  Reset(q); n }`;
const chosenAngle = `operation Main() : Result {
  use (a, b) = (Qubit(), Qubit()); H(a);
  let theta = M(a) == One ? 1.0 | 2.5;
  Rx(theta, b); let r = M(b); Reset(a); Reset(b); r }`;
const functions = `operation Main() : (Result, Int) {
  use (m, a, b) = (Qubit(), Qubit(), Qubit());
  Ry(1.0, m);
  Teleport(m, a, b);
  let first = MResetZ(b);
  mutable heads = 0;
  for i in 1..2 { set heads += Toss(a, heads); }
  (first, heads) }
operation Teleport(m : Qubit, a : Qubit, b : Qubit) : Unit {
  H(a); CNOT(a, b); CNOT(m, a); H(m);
  if MResetZ(a) == One { X(b); } if MResetZ(m) == One { Z(b); } }
operation Toss(q : Qubit, before : Int) : Int {
  H(q);
  if MResetZ(q) == One { return before + 1; }
  return 0; }`;
const half = (theta: number) => Math.sin(theta / 2) ** 2;
const one = (half(1) + half(2.5)) / 2;

describe("QIR that the compiler makes has the outcomes of its program:", () => {
  it.each([
    ["a Bell pair in base", bell, "base", { "00": 0.5, "11": 0.5 }],
    ["a Bell pair in adaptive", bell, "adaptive", { "00": 0.5, "11": 0.5 }],
    ["teleportation in adaptive_ri", teleport, "adaptive_ri", { "0": 1 - half(1), "1": half(1) }],
    ["teleportation in adaptive", teleport, "adaptive", { "0": 1 - half(1), "1": half(1) }],
    [
      "integers and booleans in adaptive_ri",
      coins,
      "adaptive_ri",
      {
        "(0, false)": 0.125,
        "(1, false)": 0.125,
        "(2, false)": 0.125,
        "(3, true)": 0.25,
        "(4, true)": 0.125,
        "(5, true)": 0.125,
        "(6, true)": 0.125,
      },
    ],
    [
      "functions with branches that return values, in adaptive",
      functions,
      "adaptive",
      // heads: 0 or 1 after the first toss, then 0, 1 (0 + 1), 1 (1 + 0) or 3 (1 + 2)
      Object.fromEntries(
        [1 - half(1), half(1)].flatMap((share, bit) => [
          [`(${bit}, 0)`, share / 4],
          [`(${bit}, 1)`, share / 2],
          [`(${bit}, 3)`, share / 4],
        ]),
      ),
    ],
    ["a loop in adaptive", untilZero, "adaptive", { "0": 0.5, "1": 0.25, "2": 0.125, "3": 0.125 }],
    ["a computed angle in adaptive_rif", chosenAngle, "adaptive_rif", { "0": 1 - one, "1": one }],
  ] as const)("%s", async (_, source, profile, expected) => {
    expect(await verdictThroughQir(source, profile, expected)).toMatchObject({ verdict: "consistent" });
  });
});

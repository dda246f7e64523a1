import type { Program } from "../programs/program.ts";

/** What crosses to the simulator's worker thread. */
export type SimulatorTask =
  | { readonly kind: "run"; readonly program: Program; readonly shots: number; readonly noise: Noise | null }
  | { readonly kind: "check"; readonly program: Program; readonly profile: Profile }
  | { readonly kind: "test"; readonly program: Program; readonly repeats: number }
  | { readonly kind: "estimate"; readonly program: Program; readonly parameters: readonly unknown[] }
  | { readonly kind: "circuit"; readonly program: Program; readonly method: CircuitMethod }
  | { readonly kind: "qir"; readonly program: Program; readonly profile: QirProfile };

/** What crosses back. A program's own mistakes are answers, not exceptions. */
export type SimulatorReply<Value> =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "diagnostics"; readonly diagnostics: readonly Diagnostic[] };

/** What a target can do with a program, from least to most. */
export const qirProfiles = ["base", "adaptive_ri", "adaptive_rif", "adaptive"] as const;
export type QirProfile = (typeof qirProfiles)[number];
export const profiles = [...qirProfiles, "unrestricted"] as const;
export type Profile = (typeof profiles)[number];

/**
 * `static` draws what may happen, conditions included; `simulate` draws what did happen in one run; `classicalEval`
 * follows the classical code without simulating and fails where a measurement decides.
 */
export const circuitMethods = ["static", "simulate", "classicalEval"] as const;
export type CircuitMethod = (typeof circuitMethods)[number];

/** After each gate and measurement a Pauli error with these probabilities, and the loss of the qubit with `loss`. */
export interface Noise {
  readonly pX: number;
  readonly pY: number;
  readonly pZ: number;
  readonly loss: number;
}

/** One remark of the compiler, or the error of one shot. Lines and columns count from 1. */
export interface Diagnostic {
  /** The name of the source file; empty where the remark is about the whole program. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
  readonly severity: "error" | "warning" | "info" | "hint";
  /** E.g. `Qdk.Qsc.Resolve.NotFound`. */
  readonly code: string;
  readonly message: string;
}

/** What all shots of a program gave. */
export interface RunOutcome {
  /** The distinct values as Q# prints them, in the order of their first appearance. */
  readonly values: readonly string[];
  /** For each shot the index of its value. */
  readonly shots: Uint32Array;
  /** What the program printed, up to a limit. */
  readonly messages: readonly string[];
  /** States the program dumped, up to a limit. */
  readonly states: readonly QuantumState[];
  readonly failures: { readonly count: number; readonly first: Diagnostic | null };
}

export interface QuantumState {
  readonly qubitCount: number;
  /** Amplitude by basis state, e.g. `|01⟩`; states with many entries are cut. */
  readonly amplitudes: Readonly<Record<string, readonly [re: number, im: number]>>;
}

export interface CheckOutcome {
  readonly diagnostics: readonly Diagnostic[];
  /** Qualified names of the callables with `@Test()`. */
  readonly tests: readonly string[];
}

export interface TestOutcome {
  readonly name: string;
  readonly passed: boolean;
  readonly repeats: number;
  readonly failedRepeats: number;
  readonly failure: Diagnostic | null;
}

/** Progress that says the compiler panicked: its memory is lost and the thread must end. See simulator.ts. */
/** The same for a stack that overflowed: the program nests too deeply. */
export const overflowMarker = "ketline:simulator-overflow";
export const panicMarker = "ketline:simulator-panic:";

/** What one program may ask for. */
export const limits = {
  shots: 100_000,
  /** Of one file. */
  sourceCharacters: 500_000,
  tests: 200,
  testRepeats: 1000,
  messages: 200,
  messageCharacters: 2000,
  states: 20,
  stateEntries: 1024,
  /** Distinct outcomes together, as characters. */
  valueCharacters: 32 * 1024 ** 2,
  circuitOperations: 10_000,
  /** Of the compiler's memory: enough for 22 qubits in a dense state (557 to 900 MiB), not for 23. */
  memoryMiB: 1024,
} as const;

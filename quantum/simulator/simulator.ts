import { invalid, KetlineError, tooLarge } from "../../shared/errors.ts";
import type { WorkerPool } from "../../shared/jobs/index.ts";
import type { Program } from "../programs/program.ts";
import type { Circuit } from "./circuit.ts";
import { isOverflow, programError } from "./diagnostics.ts";
import {
  type CheckOutcome,
  type CircuitMethod,
  type Diagnostic,
  limits,
  type Noise,
  overflowMarker,
  type Profile,
  panicMarker,
  type QirProfile,
  type RunOutcome,
  type SimulatorReply,
  type SimulatorTask,
  type TestOutcome,
} from "./tasks.ts";

/** The Q# simulator and compiler. It has no seed: two runs of one program differ as two runs on hardware do. */
export interface Simulator {
  /** @throws ProgramError; invalid for shots and noise out of range */
  run(program: Program, shots: number, noise: Noise | null, call: SimulatorCall): Promise<RunOutcome>;
  /** Every remark with its position, and the names of the unit tests. Wrong programs are answers here. */
  check(program: Program, profile: Profile, call: SimulatorCall): Promise<CheckOutcome>;
  /** Runs each callable with `@Test()`, `repeats` times. @throws ProgramError */
  test(program: Program, repeats: number, call: SimulatorCall): Promise<readonly TestOutcome[]>;
  /**
   * Resources on error-corrected hardware, one answer for each of the parameters, as the estimator gives them.
   *
   * @throws ProgramError
   */
  estimate(
    program: Program,
    parameters: readonly unknown[],
    call: SimulatorCall,
  ): Promise<readonly unknown[]>;
  /** @throws ProgramError */
  circuit(program: Program, method: CircuitMethod, call: SimulatorCall): Promise<Circuit>;
  /** QIR as LLVM text. @throws ProgramError when the program needs more than the profile allows */
  qir(program: Program, profile: QirProfile, call: SimulatorCall): Promise<string>;
}

export interface SimulatorCall {
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, message?: string) => void;
  /** Ten minutes by default. */
  readonly timeLimitMs?: number;
}

/** What the compiler says against a program; `details.members.diagnostics` carries it to the caller. */
export class ProgramError extends KetlineError {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super("invalid", summary(diagnostics), { members: { diagnostics } });
    this.name = "ProgramError";
    this.diagnostics = diagnostics;
  }
}

const defaultTimeLimitMs = 10 * 60_000;

export function createSimulator({ workers }: { readonly workers: WorkerPool }): Simulator {
  async function perform<Value>(task: SimulatorTask, call: SimulatorCall): Promise<Value> {
    const timeLimitMs = call.timeLimitMs ?? defaultTimeLimitMs;
    const time = AbortSignal.timeout(timeLimitMs);
    const panic = new AbortController();
    const module = new URL("./simulator.worker.ts", import.meta.url);
    let reply: SimulatorReply<Value>;
    try {
      reply = await workers.run<SimulatorTask, SimulatorReply<Value>>(module, task, {
        signal: AbortSignal.any([call.signal, time, panic.signal]),
        onProgress(done, message) {
          if (message === overflowMarker) panic.abort(tooDeep());
          else if (message?.startsWith(panicMarker))
            panic.abort(panicError(message.slice(panicMarker.length)));
          else call.onProgress?.(done, message);
        },
      });
    } catch (error) {
      call.signal.throwIfAborted();
      if (time.aborted && !panic.signal.aborted) {
        throw tooLarge(
          `The program did not finish within ${timeLimitMs / 1000} s, the limit of the simulator.`,
        );
      }
      // In the language service it happens in nobody's call, and ends the thread.
      throw isOverflow(error) ? tooDeep() : error;
    }
    if (reply.kind === "diagnostics") throw new ProgramError(reply.diagnostics);
    return reply.value;
  }

  return {
    run(program, shots, noise, call) {
      checkShots(shots);
      checkNoise(noise);
      return perform({ kind: "run", program, shots, noise }, call);
    },
    check: (program, profile, call) => perform({ kind: "check", program, profile }, call),
    test: (program, repeats, call) => perform({ kind: "test", program, repeats }, call),
    estimate: (program, parameters, call) => perform({ kind: "estimate", program, parameters }, call),
    circuit: (program, method, call) => perform({ kind: "circuit", program, method }, call),
    qir: (program, profile, call) => perform({ kind: "qir", program, profile }, call),
  };
}

/** @throws invalid; the simulator itself would panic */
export function checkNoise(noise: Noise | null): void {
  if (noise === null) return;
  const { pX, pY, pZ, loss } = noise;
  for (const [name, value] of Object.entries({ pX, pY, pZ, loss })) {
    if (!(value >= 0 && value <= 1)) {
      throw invalid(`noise.${name} is ${value}; a probability is from 0 to 1.`, { field: `noise.${name}` });
    }
  }
  if (pX + pY + pZ > 1) {
    throw invalid(`The noise probabilities pX + pY + pZ sum to ${pX + pY + pZ}; they may not exceed 1.`, {
      field: "noise",
    });
  }
}

function checkShots(shots: number): void {
  if (Number.isInteger(shots) && shots >= 1 && shots <= limits.shots) return;
  throw invalid(`shots is ${shots}; it is a whole number from 1 to ${limits.shots}.`, { field: "shots" });
}

function panicError(said: string): KetlineError {
  if (said !== "") return invalid(`The simulator gave up on this program: ${said}`);
  return tooLarge(
    `The program needs more than the ${limits.memoryMiB} MiB that the simulator may use: ` +
      "about 22 qubits fit when all their basis states have amplitudes.",
  );
}

function tooDeep(): ProgramError {
  const message =
    "The program nests too deeply for the compiler: some hundreds of parentheses, brackets or blocks within each other, or " +
    "sums of some thousands of terms, are more than it can take. Give parts of it names.";
  return new ProgramError([programError("Ketline.Program.TooDeep", message)]);
}

function summary(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const [first] = errors.length > 0 ? errors : diagnostics;
  if (first === undefined) return "The program is wrong.";
  const place = first.file === "" ? "" : `${first.file}:${first.line}:${first.column}: `;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  return `${place}${first.message.split("\n")[0]}${more}`;
}

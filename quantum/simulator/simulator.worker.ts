import type { ICompiler, IQSharpError } from "qsharp-lang";
import type { Program } from "../program.ts";
import { type Compiler, loadCompiler } from "./compiler.ts";
import { diagnosticsOf, isPanic, programError, thrownDiagnostics } from "./diagnostics.ts";
import { inspect } from "./language-service.ts";
import { prepare, WrongProgram } from "./preparation.ts";
import {
  type Diagnostic,
  limits,
  type Noise,
  panicMarker,
  type QuantumState,
  type RunOutcome,
  type SimulatorReply,
  type SimulatorTask,
  type TestOutcome,
} from "./tasks.ts";

type Report = (done: number, message?: string) => void;

/** One compiler per thread: loading it costs a second, and its state is its own. */
let loading: Promise<Compiler> | undefined;

/** Compiles and simulates on a worker thread; the compiler's calls block the thread that they run on. */
export default async function simulate(
  task: SimulatorTask,
  report: Report,
): Promise<SimulatorReply<unknown>> {
  loading ??= loadCompiler();
  const compiler = await loading;
  compiler.takePanic();
  try {
    return { kind: "value", value: await perform(compiler, task, report) };
  } catch (error) {
    if (isPanic(error)) return panicked(compiler, report);
    const diagnostics = error instanceof WrongProgram ? error.diagnostics : thrownDiagnostics(error);
    if (diagnostics === undefined) throw error;
    return { kind: "diagnostics", diagnostics };
  }
}

/** The memory of a panicked compiler is lost: says so and waits for the thread to be ended from outside. */
function panicked(compiler: Compiler, report: Report): Promise<never> {
  report(1, panicMarker + (compiler.takePanic() ?? ""));
  return new Promise(() => {});
}

async function perform(compiler: Compiler, task: SimulatorTask, report: Report): Promise<unknown> {
  const { program } = task;
  switch (task.kind) {
    case "run":
      return run(compiler, program, task.shots, task.noise, report);
    case "check":
      return inspect(compiler, program, task.profile);
    case "test":
      return test(compiler, program, task.repeats, report);
    case "estimate": {
      const { config, expression } = await prepare(compiler, program, { needs: "expression" });
      return estimates(compiler.compiler, config, expression, task.parameters);
    }
    case "circuit": {
      const { config } = await prepare(compiler, program, {
        needs: "entryPoint",
        ...(task.method === "static" ? { profile: "adaptive_rif" } : {}),
      });
      const drawing = { generationMethod: task.method, maxOperations: limits.circuitOperations };
      const { circuits } = await compiler.compiler.getCircuit(config, {
        ...drawing,
        sourceLocations: false,
        groupByScope: false,
      });
      return circuits[0];
    }
    case "qir": {
      const { config } = await prepare(compiler, program, { needs: "entryPoint", profile: task.profile });
      return compiler.compiler.getQir(config);
    }
  }
}

async function run(
  compiler: Compiler,
  program: Program,
  shots: number,
  noise: Noise | null,
  report: Report,
): Promise<RunOutcome> {
  const { config, expression } = await prepare(compiler, program, { needs: "expression" });
  const collected = collect(shots, report);
  await evaluate(compiler.compiler, config, expression, shots, noise, collected);
  return collected.outcome();
}

/** Runs a program; a compile error is told by an event before the call rejects. */
async function evaluate(
  compiler: ICompiler,
  config: Parameters<ICompiler["run"]>[0],
  expression: string,
  shots: number,
  noise: Noise | null,
  collected: Collector,
): Promise<void> {
  const target = { dispatchEvent: collected.event } as unknown as Parameters<ICompiler["run"]>[3];
  try {
    if (noise === null) await compiler.run(config, expression, shots, target);
    else {
      const { pX, pY, pZ, loss } = noise;
      await compiler.runWithNoise(config, expression, shots, [pX, pY, pZ], loss, target);
    }
  } catch (error) {
    const known = isPanic(error) || thrownDiagnostics(error) !== undefined;
    if (known || !(error instanceof Error)) throw error;
    const diagnostics = collected.failure();
    throw diagnostics.length > 0 ? new WrongProgram(diagnostics) : error;
  }
}

async function test(
  compiler: Compiler,
  program: Program,
  repeats: number,
  report: Report,
): Promise<readonly TestOutcome[]> {
  const { tests, diagnostics } = await inspect(compiler, { ...program, entry: testEntry }, "unrestricted");
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new WrongProgram(errors);
  if (tests.length > limits.tests) {
    const message = `The program has ${tests.length} tests; at most ${limits.tests} are run.`;
    throw new WrongProgram([programError("Ketline.Tests.TooMany", message)]);
  }
  const { config } = await prepare(compiler, { ...program, entry: null }, { needs: "expression" });
  const outcomes: TestOutcome[] = [];
  for (const name of tests) {
    report(outcomes.length / tests.length, `test ${name}`);
    const collected = collect(repeats, () => {});
    await evaluate(compiler.compiler, config, `${name}()`, repeats, null, collected);
    const { count, first } = collected.outcome().failures;
    outcomes.push({ name, passed: count === 0, repeats, failedRepeats: count, failure: first });
  }
  return outcomes;
}

/** Any entry: it keeps the check from asking for a `Main`. */
const testEntry = { kind: "expression", text: "()" } as const;

async function estimates(
  compiler: ICompiler,
  config: Parameters<ICompiler["getEstimates"]>[0],
  expression: string,
  parameters: readonly unknown[],
): Promise<unknown> {
  try {
    return JSON.parse(await compiler.getEstimates(config, expression, JSON.stringify(parameters)));
  } catch (error) {
    // Parameters that the estimator does not know are thrown as text.
    if (typeof error !== "string") throw error;
    throw new WrongProgram([programError("Ketline.Estimates.Parameters", error)]);
  }
}

interface Collector {
  readonly event: (event: unknown) => boolean;
  outcome(): RunOutcome;
  /** The diagnostics of the last failed result. */
  failure(): readonly Diagnostic[];
}

type SimulatorEvent =
  | { readonly type: "Message"; readonly detail: string }
  | {
      readonly type: "DumpMachine";
      readonly detail: { state: QuantumState["amplitudes"]; qubitCount: number };
    }
  | { readonly type: "Matrix" }
  | {
      readonly type: "Result";
      readonly detail:
        | { readonly success: true; readonly value: string }
        | { readonly success: false; readonly value: { readonly errors: readonly IQSharpError[] } };
    };

/** Gathers the events of a run: distinct values are kept once, each shot as a number. */
function collect(shots: number, report: Report): Collector {
  const indexes = new Map<string, number>();
  const byShot = new Uint32Array(shots);
  const messages: string[] = [];
  const states: QuantumState[] = [];
  const step = Math.max(1, Math.floor(shots / 20));
  let done = 0;
  let succeeded = 0;
  let characters = 0;
  let failures = 0;
  let firstFailure: Diagnostic | null = null;
  let lastFailure: readonly Diagnostic[] = [];

  const keep = (value: string): void => {
    let index = indexes.get(value);
    if (index === undefined) {
      characters += value.length;
      if (characters > limits.valueCharacters) return;
      index = indexes.size;
      indexes.set(value, index);
    }
    byShot[succeeded++] = index;
  };

  return {
    event(raw) {
      const event = raw as SimulatorEvent;
      if (event.type === "Message") {
        if (messages.length < limits.messages) messages.push(event.detail.slice(0, limits.messageCharacters));
      } else if (event.type === "DumpMachine") {
        if (states.length < limits.states) states.push(stateOf(event.detail));
      } else if (event.type === "Result") {
        done += 1;
        if (event.detail.success) keep(event.detail.value);
        else {
          lastFailure = diagnosticsOf(event.detail.value.errors);
          firstFailure ??= lastFailure[0] ?? null;
          failures += 1;
        }
        if (done % step === 0) report(done / shots, `${done} of ${shots} shots`);
      }
      return true;
    },
    outcome() {
      if (characters > limits.valueCharacters) {
        const message = `The distinct outcomes have more than ${limits.valueCharacters} characters; return less, or run fewer shots.`;
        throw new WrongProgram([programError("Ketline.Run.TooMuchOutput", message)]);
      }
      return {
        values: [...indexes.keys()],
        shots: byShot.slice(0, succeeded),
        messages,
        states,
        failures: { count: failures, first: firstFailure },
      };
    },
    failure: () => lastFailure,
  };
}

function stateOf({
  state,
  qubitCount,
}: {
  state: QuantumState["amplitudes"];
  qubitCount: number;
}): QuantumState {
  return { qubitCount, amplitudes: Object.fromEntries(Object.entries(state).slice(0, limits.stateEntries)) };
}

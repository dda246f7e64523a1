import type { ICompiler } from "qsharp-lang";
import type { Program } from "../programs/program.ts";
import { type Collector, collect } from "./collector.ts";
import { type Compiler, loadCompiler } from "./compiler.ts";
import { isOverflow, isPanic, programError, thrownDiagnostics } from "./diagnostics.ts";
import { inspect } from "./language-service.ts";
import { prepare, WrongProgram } from "./preparation.ts";
import {
  type CheckOutcome,
  limits,
  type Noise,
  overflowMarker,
  type Profile,
  panicMarker,
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
    if (isOverflow(error)) return lost(overflowMarker, report);
    if (isPanic(error)) return lost(panicMarker + (compiler.takePanic() ?? ""), report);
    const diagnostics = error instanceof WrongProgram ? error.diagnostics : thrownDiagnostics(error);
    if (diagnostics === undefined) throw error;
    return { kind: "diagnostics", diagnostics };
  }
}

/** The memory of a compiler that broke down is lost: says so and waits for the thread to be ended from outside. */
function lost(how: string, report: Report): Promise<never> {
  report(1, how);
  return new Promise(() => {});
}

async function perform(compiler: Compiler, task: SimulatorTask, report: Report): Promise<unknown> {
  const { program } = task;
  switch (task.kind) {
    case "run":
      return run(compiler, program, task.shots, task.noise, report);
    case "check":
      return check(compiler, program, task.profile);
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

/** The entry is no part of the program's files: where those are right they are checked together with it. */
async function check(compiler: Compiler, program: Program, profile: Profile): Promise<CheckOutcome> {
  const own = await inspect(compiler, program, profile);
  if (program.entry === null || own.diagnostics.some(({ severity }) => severity === "error")) return own;
  try {
    const { files } = await prepare(compiler, program, { needs: "entryPoint" });
    const { diagnostics } = await inspect(compiler, { ...program, files }, profile);
    return { diagnostics, tests: own.tests };
  } catch (error) {
    if (!(error instanceof WrongProgram)) throw error;
    return { diagnostics: [...own.diagnostics, ...error.diagnostics], tests: own.tests };
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

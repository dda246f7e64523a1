import type { WorkerPool } from "./job.ts";

/** What a worker that runs native code is given, to be told that it should stop. */
export interface Stoppable {
  readonly stop: Int32Array;
}

/**
 * Runs a worker that ends itself. Ending a thread while DuckDB or ONNX Runtime works for it aborts the whole process, so
 * an abort is written to memory that both share; the worker looks there with every report, and DuckDB while it works
 * (the option `stop` of `withDuckDb`).
 */
export async function runCooperatively<Task extends object, Result>(
  workers: WorkerPool,
  module: URL,
  task: Task,
  options: { readonly signal: AbortSignal; readonly onProgress: (done: number, message?: string) => void },
): Promise<Result> {
  const { signal, onProgress } = options;
  signal.throwIfAborted();
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const raise = () => void Atomics.store(stop, 0, 1);
  signal.addEventListener("abort", raise, { once: true });
  try {
    return await workers.run<Task & Stoppable, Result>(
      module,
      { ...task, stop },
      { signal: new AbortController().signal, onProgress },
    );
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", raise);
  }
}

/** A report that throws when the task is to stop; call it in every loop. */
export function stoppableReport(
  { stop }: Stoppable,
  report: (done: number, message?: string) => void,
): (done: number, message?: string) => void {
  return (done, message) => {
    if (isStopped(stop)) throw new Error("The work was told to stop.");
    report(done, message);
  };
}

export function isStopped(stop: Int32Array): boolean {
  return Atomics.load(stop, 0) !== 0;
}

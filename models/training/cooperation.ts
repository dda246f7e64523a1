import type { WorkerPool } from "../../shared/jobs/index.ts";

/** What a worker that runs native code is given, to be told that it should stop. */
export interface Stoppable {
  readonly stop: Int32Array;
}

/**
 * Runs a worker that ends itself: ending a thread inside ONNX Runtime aborts the whole process, so an abort is written
 * to memory that both share, and the worker looks there with every report.
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
    if (Atomics.load(stop, 0) !== 0) throw new Error("The work was told to stop.");
    report(done, message);
  };
}

import { MessageChannel } from "node:worker_threads";
import type { Piscina } from "piscina";
import { tooLarge, unavailable } from "../../errors.ts";
import { createStartGate } from "../../processes/index.ts";
import type { WorkerPool } from "../job.ts";
import { begun, type WorkerProgress, type WorkerTask } from "./entry.worker.ts";
import { rebuild, type WorkerOutcome } from "./perform-task.ts";
import { createProcessPool } from "./process-pool.ts";

export interface WorkerPoolOptions {
  /**
   * Threads at most, and as many processes; none are started before the first task, and idle ones end after half a
   * minute.
   */
  readonly threads: number;
  /** JavaScript heap of one thread, in MiB; 2048 by default. Typed arrays and native memory are not counted. */
  readonly heapMiB?: number;
  /** Told once what a thread or a process said that does not start. */
  readonly onStartFailure?: (reason: string) => void;
  readonly nowMs?: () => number;
  /** What every thread loads first; `entry.worker.ts` by default. */
  readonly entry?: URL;
}

/**
 * A pool of worker threads over Piscina. What a worker throws is thrown here, a KetlineError as one of the same kind.
 * Aborting ends the thread at once, whatever it is doing, and rejects with the signal's reason. Beside the threads
 * stands a pool of processes, for what a thread does not contain.
 */
export function createWorkerPool(options: WorkerPoolOptions): WorkerPool {
  const {
    threads,
    heapMiB = 2048,
    entry = threadEntry,
    onStartFailure: onFailure = () => {},
    nowMs,
  } = options;
  const clock = nowMs === undefined ? {} : { nowMs };
  const gate = createStartGate({ what: "The worker thread", onFailure, ...clock });
  let opening: Promise<Piscina> | undefined;
  let closed = false;
  let trying: Promise<unknown> | undefined;
  const processes = createProcessPool({ count: threads, onStartFailure: onFailure, ...clock });
  /** Tasks that no thread has begun. */
  const waiting = new Set<AbortController>();
  /** A thread that dies with a task fails that task; one that dies without was not able to start. */
  const died = (error: Error): void => {
    if (waiting.size === 0) return;
    const failure = gate.failed(error.message, error.stack ?? "");
    for (const task of waiting) task.abort(failure);
  };
  const pool = (): Promise<Piscina> => {
    if (closed) throw unavailable("The server is stopping; it takes no more work.");
    opening ??= openPool(entry, threads, heapMiB, died);
    return opening;
  };
  const workers: WorkerPool = {
    async run<Task, Result>(
      module: URL,
      task: Task,
      { signal, onProgress, transfer = [] }: Parameters<WorkerPool["run"]>[2],
    ): Promise<Result> {
      signal.throwIfAborted();
      gate.admit();
      const piscina = await pool();
      const start = new AbortController();
      waiting.add(start);
      const channel = new MessageChannel();
      // The thread closes its end after its last report, so that the close arrives after the last message.
      const reported = new Promise((resolve) => channel.port1.once("close", resolve));
      channel.port1.on("message", (said: WorkerProgress | typeof begun) => {
        if (said !== begun) return onProgress?.(...said);
        waiting.delete(start);
        gate.started();
      });
      const request: WorkerTask = { module: module.href, task, port: channel.port2 };
      try {
        const outcome: WorkerOutcome = await piscina.run(request, {
          signal: AbortSignal.any([signal, start.signal]),
          transferList: [channel.port2, ...transfer],
        });
        await reported;
        if (outcome.kind === "error") throw rebuild(outcome.error);
        return outcome.result as Result;
      } catch (error) {
        signal.throwIfAborted();
        start.signal.throwIfAborted();
        throw explain(error, heapMiB);
      } finally {
        waiting.delete(start);
        channel.port1.close();
      }
    },
    runApart: processes.run,
    problem() {
      for (const { run, problem, isOpen } of [
        { run: workers.run, problem: gate.problem, isOpen: gate.isOpen },
        { run: workers.runApart, problem: processes.gate.problem, isOpen: processes.gate.isOpen },
      ]) {
        if (problem === undefined) continue;
        // Nobody else may ask while the server is said to be unwell.
        if (isOpen && !closed && trying === undefined) {
          trying = run(idle, null, { signal: AbortSignal.timeout(startWithinMs) })
            .catch(() => {})
            .finally(() => {
              trying = undefined;
            });
        }
        return problem;
      }
      return undefined;
    },
    async close() {
      closed = true;
      await processes.close();
      // Waits for what runs: ending a thread in the middle of native code would abort the process.
      await (await opening)?.close({ force: true });
    },
  };
  return workers;
}

const threadEntry = new URL("./entry.worker.ts", import.meta.url);
const idle = new URL("./idle.worker.ts", import.meta.url);
const startWithinMs = 60_000;

async function openPool(
  entry: URL,
  threads: number,
  heapMiB: number,
  died: (error: Error) => void,
): Promise<Piscina> {
  const { Piscina } = await import("piscina");
  const piscina = new Piscina({
    filename: entry.href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 30_000,
    closeTimeout: 10_000,
    // With Atomics a thread blocks between tasks, and with it whatever native cleanup the last task left behind.
    atomics: "disabled",
    resourceLimits: { maxOldGenerationSizeMb: heapMiB },
  });
  piscina.on("error", died);
  return piscina;
}

function explain(error: unknown, heapMiB: number): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "ERR_WORKER_OUT_OF_MEMORY") return error;
  return tooLarge(`The work needed more than the ${heapMiB} MiB of memory that one worker thread may use.`, {
    cause: error,
  });
}

import { MessageChannel } from "node:worker_threads";
import type { Piscina } from "piscina";
import { tooLarge, unavailable } from "../../errors.ts";
import type { WorkerPool } from "../job.ts";
import type { WorkerProgress, WorkerTask } from "./entry.worker.ts";
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
}

/**
 * A pool of worker threads over Piscina. What a worker throws is thrown here, a KetlineError as one of the same kind.
 * Aborting ends the thread at once, whatever it is doing, and rejects with the signal's reason. Beside the threads
 * stands a pool of processes, for what a thread does not contain.
 */
export function createWorkerPool({ threads, heapMiB = 2048 }: WorkerPoolOptions): WorkerPool {
  let opening: Promise<Piscina> | undefined;
  let closed = false;
  const processes = createProcessPool({ count: threads });
  const pool = (): Promise<Piscina> => {
    if (closed) throw unavailable("The server is stopping; it takes no more work.");
    opening ??= openPool(threads, heapMiB);
    return opening;
  };
  return {
    async run<Task, Result>(
      module: URL,
      task: Task,
      { signal, onProgress, transfer = [] }: Parameters<WorkerPool["run"]>[2],
    ): Promise<Result> {
      signal.throwIfAborted();
      const piscina = await pool();
      const channel = new MessageChannel();
      // The thread closes its end after its last report, so that the close arrives after the last message.
      const reported = new Promise((resolve) => channel.port1.once("close", resolve));
      channel.port1.on("message", ([done, message]: WorkerProgress) => onProgress?.(done, message));
      const request: WorkerTask = { module: module.href, task, port: channel.port2 };
      try {
        const outcome: WorkerOutcome = await piscina.run(request, {
          signal,
          transferList: [channel.port2, ...transfer],
        });
        await reported;
        if (outcome.kind === "error") throw rebuild(outcome.error);
        return outcome.result as Result;
      } catch (error) {
        signal.throwIfAborted();
        throw explain(error, heapMiB);
      } finally {
        channel.port1.close();
      }
    },
    runApart: processes.run,
    async close() {
      closed = true;
      await processes.close();
      // Waits for what runs: ending a thread in the middle of native code would abort the process.
      await (await opening)?.close({ force: true });
    },
  };
}

async function openPool(threads: number, heapMiB: number): Promise<Piscina> {
  const { Piscina } = await import("piscina");
  const piscina = new Piscina({
    filename: new URL("./entry.worker.ts", import.meta.url).href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 30_000,
    closeTimeout: 10_000,
    // With Atomics a thread blocks between tasks, and with it whatever native cleanup the last task left behind.
    atomics: "disabled",
    resourceLimits: { maxOldGenerationSizeMb: heapMiB },
  });
  // A thread that dies fails its own task; without a listener it would end the process too.
  piscina.on("error", () => {});
  return piscina;
}

function explain(error: unknown, heapMiB: number): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "ERR_WORKER_OUT_OF_MEMORY") return error;
  return tooLarge(`The work needed more than the ${heapMiB} MiB of memory that one worker thread may use.`, {
    cause: error,
  });
}

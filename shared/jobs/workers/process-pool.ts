import { deserialize } from "node:v8";
import { tooLarge, unavailable, unsupported } from "../../errors.ts";
import { createStartGate, type LimitedProcess, type StartGate, startLimited } from "../../processes/index.ts";
import type { WorkerPool } from "../job.ts";
import type { ProcessMessage, ProcessTask } from "./entry.process.ts";
import { rebuild, type WorkerOutcome } from "./perform-task.ts";

export interface ProcessPool {
  readonly run: WorkerPool["runApart"];
  readonly gate: Pick<StartGate, "problem" | "isOpen">;
  /** Ends every process; what runs there is rejected as unavailable. */
  close(): Promise<void>;
}

const defaultMemoryMiB = 1536;
/** Of the memory a part that a JavaScript heap may grow to. */
const heapShare = 0.6;
const idleMs = 30_000;
/** A process that holds more of its memory is not used again: what a task left behind would count against the next. */
const reusableShare = 0.4;
/** Long enough for a machine that is busy; a process that says nothing until then never will. */
const startWithinMs = 60_000;

/**
 * Processes that do one task at a time and are used again while they are small. At most `count` work at once; further
 * tasks wait in their order.
 */
export function createProcessPool({
  count,
  onStartFailure: onFailure,
  nowMs,
}: {
  readonly count: number;
  /** Told once what a process said that did not start. */
  readonly onStartFailure: (reason: string) => void;
  readonly nowMs?: () => number;
}): ProcessPool {
  const what = "The process for work on strangers' data";
  const gate = createStartGate({ what, onFailure, ...(nowMs === undefined ? {} : { nowMs }) });
  const idle: Worker[] = [];
  const all = new Set<Worker>();
  const waiting: (() => void)[] = [];
  let working = 0;
  let closed = false;

  async function turn(signal: AbortSignal): Promise<void> {
    if (working < count) {
      working++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        waiting.splice(waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      waiting.push(enter);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** The place goes to the one who waits longest, or becomes free. */
  function giveTurnOn(): void {
    const next = waiting.shift();
    if (next === undefined) working--;
    else next();
  }

  function take(memoryMiB: number, fresh: boolean): Worker {
    const at = fresh ? -1 : idle.findIndex((worker) => worker.memoryMiB === memoryMiB);
    const [known] = at < 0 ? [] : idle.splice(at, 1);
    if (known !== undefined) {
      known.wake();
      return known;
    }
    const worker = openWorker(memoryMiB);
    all.add(worker);
    worker.ready.then(gate.started, () => {});
    worker.ended.then(() => {
      all.delete(worker);
      const index = idle.indexOf(worker);
      if (index >= 0) idle.splice(index, 1);
    });
    return worker;
  }

  async function attempt(request: ProcessTask, options: Options, fresh: boolean): Promise<unknown> {
    const { memoryMiB = defaultMemoryMiB, signal, onProgress } = options;
    const worker = take(memoryMiB, fresh);
    const kill = () => worker.kill();
    signal.addEventListener("abort", kill, { once: true });
    try {
      const { outcome, reusable } = await worker.perform(request, onProgress);
      if (reusable && !signal.aborted && !closed) {
        worker.rest();
        idle.push(worker);
      } else await worker.kill();
      if (outcome.kind === "error") throw explain(rebuild(outcome.error), memoryMiB);
      return outcome.result;
    } finally {
      signal.removeEventListener("abort", kill);
    }
  }

  return {
    gate,
    async run<Task, Result>(module: URL, task: Task, options: Options): Promise<Result> {
      const { signal, memoryMiB = defaultMemoryMiB } = options;
      const request: ProcessTask = { module: module.href, task };
      const refuse = () => {
        signal.throwIfAborted();
        if (closed) throw unavailable("The server is stopping; it takes no more work.");
        gate.admit();
      };
      refuse();
      await turn(signal);
      try {
        for (let again = false; ; again = true) {
          refuse();
          try {
            return (await attempt(request, options, again)) as Result;
          } catch (error) {
            if (error instanceof ProcessEnded && !error.started && !signal.aborted && !closed)
              throw gate.failed(error.how, error.said);
            refuse();
            if (!(error instanceof ProcessEnded)) throw error;
            if (outOfMemory.test(error.said)) throw tooMuch(memoryMiB, error);
            if (again) throw endedTwice(error);
          }
        }
      } finally {
        giveTurnOn();
      }
    },
    async close() {
      closed = true;
      await Promise.all([...all].map((worker) => worker.kill()));
    },
  };
}

type Options = Parameters<WorkerPool["runApart"]>[2];

/** The process is gone before it answered. */
class ProcessEnded extends Error {
  readonly started: boolean;
  readonly how: string;
  readonly said: string;

  constructor(started: boolean, how: string, said: string) {
    super(`The process ended (${how})${said === "" ? "" : `: ${said}`}`);
    this.name = "ProcessEnded";
    this.started = started;
    this.how = how;
    this.said = said;
  }
}

interface Worker {
  readonly memoryMiB: number;
  /** Rejects with ProcessEnded when it does not start. */
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  /** @throws ProcessEnded */
  perform(
    request: ProcessTask,
    onProgress: Options["onProgress"],
  ): Promise<{ readonly outcome: WorkerOutcome; readonly reusable: boolean }>;
  /** Lets the server end while nothing is asked of it, and ends by itself when that lasts. */
  rest(): void;
  wake(): void;
  /** Resolves when the process is gone, and with it its hold on files. */
  kill(): Promise<void>;
}

function openWorker(memoryMiB: number): Worker {
  const started: LimitedProcess = startLimited(new URL("./entry.process.ts", import.meta.url), {
    memoryMiB,
    heapMiB: Math.floor(memoryMiB * heapShare),
  });
  const { child, said } = started;
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  let receive: (message: ProcessMessage) => void = () => {};
  let fail: (error: ProcessEnded) => void = ready.reject;
  let isReady = false;
  let gone: ProcessEnded | undefined;
  let resting: NodeJS.Timeout | undefined;
  ready.promise.catch(() => {});

  const end = (how: string): void => {
    clearTimeout(starting);
    clearTimeout(resting);
    gone ??= new ProcessEnded(isReady, how, said());
    fail(gone);
    ended.resolve();
  };
  const starting = setTimeout(() => child.kill("SIGKILL"), startWithinMs);
  // "close" and not "exit": its last words have been read then.
  child.on("close", (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`));
  child.on("error", (error) => end(error.message));
  child.on("message", (message: ProcessMessage) => {
    if (message.kind !== "ready") return receive(message);
    isReady = true;
    clearTimeout(starting);
    ready.resolve();
  });

  return {
    memoryMiB,
    ready: ready.promise,
    ended: ended.promise,
    async perform(request, onProgress) {
      await ready.promise;
      if (gone !== undefined) throw gone;
      return new Promise((resolve, reject) => {
        fail = reject;
        receive = (message) => {
          if (message.kind === "progress") onProgress?.(message.done, message.message);
          else if (message.kind === "done") {
            const outcome = deserialize(message.outcome) as WorkerOutcome;
            // Native code that failed in the middle of its work may have left anything behind.
            const reusable =
              outcome.kind === "result" && message.heldBytes <= memoryMiB * 1024 ** 2 * reusableShare;
            resolve({ outcome, reusable });
          }
        };
        child.send(request, (error) => {
          if (error !== null) child.kill("SIGKILL");
        });
      });
    },
    rest() {
      receive = () => {};
      fail = () => {};
      hold(child, "unref");
      resting = setTimeout(() => child.kill("SIGKILL"), idleMs).unref();
    },
    wake() {
      clearTimeout(resting);
      hold(child, "ref");
    },
    kill() {
      hold(child, "ref");
      child.kill("SIGKILL");
      return ended.promise;
    },
  };
}

/** Whether this process stays for the other's sake: its handle, its channel and its pipes each count. */
function hold(child: LimitedProcess["child"], how: "ref" | "unref"): void {
  child[how]();
  child.channel?.[how]();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null && how in stream) (stream as unknown as Record<typeof how, () => void>)[how]();
  }
}

const outOfMemory = /out of memory|bad_alloc|allocation failed|cannot allocate|failed to allocate/i;

function endedTwice(ended: ProcessEnded): Error {
  return unsupported(
    `The work ended its process twice (${ended.how}), the second time alone in a new one: its input makes the reader fail.`,
    { cause: ended },
  );
}

/** Allocations that fail inside the limit are errors of many names. */
function explain(error: Error, memoryMiB: number): Error {
  const failed = error.name === "RangeError" && outOfMemory.test(error.message);
  return failed ? tooMuch(memoryMiB, error) : error;
}

function tooMuch(memoryMiB: number, cause: Error): Error {
  return tooLarge(`The work needed more than the ${memoryMiB} MiB of memory that its process may use.`, {
    cause,
  });
}

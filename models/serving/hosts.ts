import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { KetlineError, timedOut, unavailable } from "../../shared/errors.ts";
import type { HostAnswer, HostReady, HostRequest } from "./host-messages.ts";

/** Processes that load and run models, so that none of them can stop or end this one. */
export interface Hosts {
  /**
   * Has a host do something, in its turn. A host that works longer on one thing than `budgetMs` is ended.
   *
   * @throws what the host answered; timeout when the turn did not come or the work did not end in time; unavailable
   * when the process ended under it, or when too much waits
   */
  ask(host: Host, request: HostRequest, options: AskOptions): Promise<HostAnswer>;
  /** The host with the least to do. */
  choose(): Host;
  close(): Promise<void>;
}

export interface AskOptions {
  /** From now to the answer, waiting included. */
  readonly timeoutMs: number;
  /** For the work alone. */
  readonly budgetMs: number;
  readonly signal?: AbortSignal;
  /** Answered only when nothing else waits. */
  readonly whenIdle?: boolean;
}

/** A place for a process; it is started when it is first needed, and again when it ended. */
export interface Host {
  readonly index: number;
  /** How often a process was started here: what was loaded into an earlier one is gone. */
  readonly generation: number;
  /** Whether there is a process now. */
  readonly running: boolean;
  /** Requests that wait or run. */
  readonly load: number;
}

export interface HostsOptions {
  readonly count: number;
  /** The working directory of the processes. */
  readonly directory: string;
  /** Told when a process ended while it worked on this: the request, or its model, may be the cause. */
  readonly onLost: (request: HostRequest, error: KetlineError) => void;
}

/** JavaScript heap of a process in megabytes; what ONNX Runtime allocates is not counted. */
const heapMb = 512;
/** Of short-lived objects: what a host is sent lies outside, and 16, the default, are never given back. */
const youngMb = 1;

const maxWaiting = 1000;

export function createHosts({ count, directory, onLost }: HostsOptions): Hosts {
  const start = () => startProcess(directory);
  const slots = Array.from({ length: count }, (_, index) => new Slot(index, start, onLost));
  return {
    ask: (host, request, options) => slotOf(slots, host).ask(request, options),
    choose: () => slots.reduce((best, slot) => (slot.load < best.load ? slot : best)),
    async close() {
      await Promise.all(slots.map((slot) => slot.close()));
    },
  };
}

function slotOf(slots: readonly Slot[], host: Host): Slot {
  const slot = slots[host.index];
  if (slot === undefined) throw new RangeError(`There is no host ${host.index}.`);
  return slot;
}

/** Nothing of the server's environment: what runs there is somebody else's model. */
function startProcess(directory: string): ChildProcess {
  mkdirSync(directory, { recursive: true });
  return fork(fileURLToPath(new URL("./host.process.ts", import.meta.url)), {
    cwd: directory,
    env: { LC_ALL: "C.UTF-8", TZ: "UTC", ORT_DISABLE_TELEMETRY: "1" },
    execArgv: [...preloads(), `--max-old-space-size=${heapMb}`, `--max-semi-space-size=${youngMb}`],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
}

/** What this process loads before anything else (`tools/stripped.mjs`), so that a host starts as fast. */
function preloads(): string[] {
  return process.execArgv.filter(
    (argument, index, all) => argument.startsWith("--import") || all[index - 1] === "--import",
  );
}

interface Task {
  readonly request: HostRequest;
  readonly budgetMs: number;
  readonly whenIdle: boolean;
  settle(outcome: HostAnswer | Error): void;
}

class Slot implements Host {
  readonly index: number;
  readonly #start: () => ChildProcess;
  readonly #onLost: HostsOptions["onLost"];
  #process: ChildProcess | undefined;
  #generation = 0;
  #waiting: Task[] = [];
  #current: Task | undefined;
  #budget: NodeJS.Timeout | undefined;
  /** Why the process is being ended, when it is this side that ends it. */
  #ending: KetlineError | undefined;
  #ready = false;
  #closed = false;

  constructor(index: number, start: () => ChildProcess, onLost: HostsOptions["onLost"]) {
    this.index = index;
    this.#start = start;
    this.#onLost = onLost;
  }

  get generation(): number {
    return this.#generation;
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  get load(): number {
    return this.#waiting.length + (this.#current === undefined ? 0 : 1);
  }

  ask(request: HostRequest, options: AskOptions): Promise<HostAnswer> {
    if (this.#closed) return Promise.reject(unavailable("The server is stopping."));
    if (this.#waiting.length >= maxWaiting) {
      return Promise.reject(
        unavailable(`${this.#waiting.length} requests already wait for this model's process.`, {
          retryAfterSeconds: 1,
        }),
      );
    }
    return new Promise((resolve, reject) => {
      const { timeoutMs, budgetMs, signal } = options;
      const leave = (error: Error) => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== task);
        task.settle(error);
      };
      const onAbort = () => leave(unavailable("The request was given up."));
      const timer = setTimeout(
        () => leave(timedOut(`The model gave no answer within ${budgetMs} ms.`)),
        timeoutMs,
      );
      const task: Task = {
        request,
        budgetMs,
        whenIdle: options.whenIdle === true,
        settle: (outcome) => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", onAbort);
          if (outcome instanceof Error) reject(outcome);
          else if (outcome.kind === "error") reject(rebuild(outcome));
          else resolve(outcome);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(task);
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const task of this.#waiting.splice(0)) task.settle(unavailable("The server is stopping."));
    const child = this.#process;
    if (child === undefined) return;
    this.#end(unavailable("The server is stopping."));
    if (child.exitCode === null && child.signalCode === null) {
      child.ref();
      await new Promise((resolve) => child.once("exit", resolve));
    }
  }

  #next(): void {
    if (this.#current !== undefined || this.#waiting.length === 0 || this.#closed) return;
    if (this.#process === undefined) this.#open();
    if (!this.#ready) return;
    const at = Math.max(
      0,
      this.#waiting.findIndex(({ whenIdle }) => !whenIdle),
    );
    const [task] = this.#waiting.splice(at, 1);
    if (task === undefined) return;
    this.#current = task;
    this.#budget = setTimeout(() => {
      this.#end(timedOut(`The model worked longer than ${task.budgetMs} ms and was stopped.`));
    }, task.budgetMs);
    this.#process?.send(task.request, (error) => {
      if (error !== null) this.#end(unavailable(`The model's process cannot be reached: ${error.message}`));
    });
  }

  #open(): void {
    const child = this.#start();
    this.#process = child;
    this.#generation++;
    this.#ready = false;
    this.#ending = undefined;
    child.on("message", (message) => {
      if (this.#process === child) this.#receive(message as HostAnswer | HostReady);
    });
    const ended = (why: string) => {
      if (this.#process === child) this.#lost(why);
    };
    child.on("error", (error) => ended(error.message));
    child.on("exit", (code, signal) => ended(signal === null ? `exit code ${code}` : `signal ${signal}`));
    child.unref();
    child.channel?.unref();
  }

  #receive(message: HostAnswer | HostReady): void {
    if (message.kind === "ready") this.#ready = true;
    else {
      clearTimeout(this.#budget);
      const task = this.#current;
      this.#current = undefined;
      task?.settle(message);
    }
    this.#next();
  }

  /** The process is gone: what ran in it fails, what waits gets a new one, which starts at once. */
  #lost(why: string): void {
    clearTimeout(this.#budget);
    const task = this.#current;
    const neverReady = !this.#ready;
    const error =
      this.#ending ??
      unavailable(`The process of this model ended (${why}); the next request starts it again.`, {
        retryAfterSeconds: 1,
      });
    this.#current = undefined;
    this.#process = undefined;
    this.#ready = false;
    if (task !== undefined) {
      task.settle(error);
      if (!this.#closed) this.#onLost(task.request, error);
    }
    if (!neverReady && !this.#closed) this.#open();
    if (neverReady) {
      const cannot = unavailable(`The process for models does not start (${why}).`, { retryAfterSeconds: 5 });
      for (const waiting of this.#waiting.splice(0)) waiting.settle(cannot);
    }
    this.#next();
  }

  #end(error: KetlineError): void {
    this.#ending = error;
    this.#process?.kill("SIGKILL");
  }
}

function rebuild({ error, message }: Extract<HostAnswer, { kind: "error" }>): Error {
  return error === "internal" ? new Error(message) : new KetlineError(error, message);
}

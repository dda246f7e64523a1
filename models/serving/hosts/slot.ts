import { insufficient, KetlineError, timedOut, unavailable } from "../../../shared/errors.ts";
import { createStartGate, type StartGate } from "../../../shared/processes/index.ts";
import type { AskOptions, Host, HostsOptions } from "./hosts.ts";
import type { MemoryWatch, WatchedProcess } from "./memory-watch.ts";
import type { HostAnswer, HostReady, HostRequest } from "./messages.ts";
import type { StartedHost } from "./start.ts";

const maxWaiting = 1000;
/** Others wait this long behind one that has had its share before it has to make room. */
const patienceMs = 250;

interface Task {
  readonly request: HostRequest;
  readonly options: AskOptions;
  settle(outcome: HostAnswer | Error): void;
}

export interface SlotParts {
  readonly index: number;
  readonly start: () => StartedHost;
  readonly watch: MemoryWatch | undefined;
  readonly onLost: HostsOptions["onLost"];
  /** Told once what a process said that did not start. */
  readonly onStartFailure: (reason: string) => void;
}

/** It had to make room for others: nothing is wrong with the request, and elsewhere it may be tried again. */
export function isPreempted(error: unknown): boolean {
  return error instanceof KetlineError && error.details.code === preempted;
}
const preempted = "PREEMPTED";

/** A place for a process, and those who wait for it. */
export class Slot implements Host {
  readonly index: number;
  readonly #parts: SlotParts;
  #process: StartedHost | undefined;
  #watched: WatchedProcess | undefined;
  #generation = 0;
  #waiting: Task[] = [];
  #current: Task | undefined;
  #sinceMs = 0;
  #budget: NodeJS.Timeout | undefined;
  #share: NodeJS.Timeout | undefined;
  /** Why the process is being ended, when it is this side that ends it. */
  #ending: KetlineError | undefined;
  #ready = false;
  #closed = false;
  readonly #gate: StartGate;

  constructor(parts: SlotParts) {
    this.index = parts.index;
    this.#parts = parts;
    this.#gate = createStartGate({ what: "The process for models", onFailure: parts.onStartFailure });
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

  /** Why there is no process; asking tries to start one when it is time to. */
  get problem(): string | undefined {
    const { problem, isOpen } = this.#gate;
    if (problem !== undefined && isOpen && !this.#closed && !this.running) this.#open();
    return problem;
  }

  ask(request: HostRequest, options: AskOptions): Promise<HostAnswer> {
    if (this.#closed) return Promise.reject(unavailable("The server is stopping."));
    if (this.#waiting.length >= maxWaiting) {
      const message = `${this.#waiting.length} requests already wait for this model's process.`;
      return Promise.reject(unavailable(message, { retryAfterSeconds: 1 }));
    }
    return new Promise((resolve, reject) => {
      if (!this.running) this.#gate.admit();
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
        options,
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
    const child = this.#process?.process;
    if (child === undefined) return;
    this.#end(unavailable("The server is stopping."));
    if (child.exitCode === null && child.signalCode === null) {
      child.ref();
      await new Promise((resolve) => child.once("exit", resolve));
    }
  }

  #next(): void {
    this.#makeRoom();
    if (this.#current !== undefined || this.#waiting.length === 0 || this.#closed) return;
    // One that is being ended takes nothing more.
    if (this.#ending !== undefined) return;
    if (this.#process === undefined) this.#open();
    if (!this.#ready) return;
    const at = Math.max(
      0,
      this.#waiting.findIndex(({ options }) => options.whenIdle !== true),
    );
    const [task] = this.#waiting.splice(at, 1);
    if (task === undefined) return;
    this.#current = task;
    this.#sinceMs = performance.now();
    const { budgetMs } = task.options;
    this.#budget = setTimeout(() => {
      this.#end(timedOut(`The model worked longer than ${budgetMs} ms and was stopped.`));
    }, budgetMs);
    this.#process?.process.send(task.request, (error) => {
      if (error !== null) this.#end(unavailable(`The model's process cannot be reached: ${error.message}`));
    });
    this.#makeRoom();
  }

  /** What runs has to make room when it had its share and another model's request waits. */
  #makeRoom(): void {
    clearTimeout(this.#share);
    const current = this.#current;
    if (current?.options.shareMs === undefined) return;
    if (!this.#waiting.some(({ request }) => request.key !== current.request.key)) return;
    const nowMs = performance.now();
    const dueMs = Math.max(this.#sinceMs + current.options.shareMs, nowMs + patienceMs);
    this.#share = setTimeout(() => {
      const isOtherWaiting = this.#waiting.some(({ request }) => request.key !== current.request.key);
      if (this.#current !== current || !isOtherWaiting) return;
      this.#end(
        unavailable("The model had to make room for others.", { code: preempted, retryAfterSeconds: 1 }),
      );
    }, dueMs - nowMs);
  }

  #open(): void {
    const started = this.#parts.start();
    const child = started.process;
    this.#process = started;
    this.#generation++;
    this.#ready = false;
    this.#ending = undefined;
    child.on("message", (message) => {
      if (this.#process === started) this.#receive(message as HostAnswer | HostReady);
    });
    const ended = (why: string) => {
      if (this.#process === started) this.#lost(why, started.said());
    };
    child.on("error", (error) => ended(error.message));
    // After its last words have arrived.
    child.on("close", (code, signal) => ended(signal === null ? `exit code ${code}` : `signal ${signal}`));
    child.unref();
    child.channel?.unref();
    (child.stderr as { unref?: () => void } | null)?.unref?.();
    if (child.pid === undefined) return;
    const { pid } = child;
    const isBusy = () => this.#current !== undefined;
    this.#watched = {
      pid,
      get isBusy() {
        return isBusy();
      },
      end: (error) => this.#end(error),
    };
    this.#parts.watch?.add(this.#watched);
  }

  #receive(message: HostAnswer | HostReady): void {
    if (message.kind === "ready") {
      this.#ready = true;
      this.#gate.started();
    } else {
      clearTimeout(this.#budget);
      clearTimeout(this.#share);
      const task = this.#current;
      this.#current = undefined;
      if (message.kind === "error" && message.error === "insufficient" && task !== undefined) {
        this.#parts.onLost(task.request, insufficient(message.message));
      }
      task?.settle(message);
      if (message.isGrown === true) {
        this.#end(unavailable("The process of this model was replaced."));
        return;
      }
    }
    this.#next();
  }

  /** The process is gone: what ran in it fails, what waits gets a new one, which starts at once. */
  #lost(why: string, said: string): void {
    clearTimeout(this.#budget);
    clearTimeout(this.#share);
    if (this.#watched !== undefined) this.#parts.watch?.remove(this.#watched);
    const task = this.#current;
    const neverReady = !this.#ready;
    const error = this.#ending ?? causeOf(why, said);
    this.#current = undefined;
    this.#process = undefined;
    this.#ending = undefined;
    this.#ready = false;
    if (task !== undefined) {
      task.settle(error);
      if (!this.#closed && !isPreempted(error)) this.#parts.onLost(task.request, error);
    }
    if (this.#closed) return;
    if (neverReady) this.#notStarted(why, said);
    else this.#open();
    this.#next();
  }

  #notStarted(why: string, said: string): void {
    const cannot = this.#gate.failed(why, said);
    for (const waiting of this.#waiting.splice(0)) waiting.settle(cannot);
  }

  #end(error: KetlineError): void {
    if (this.#process === undefined) return;
    this.#ending ??= error;
    this.#process.process.kill("SIGKILL");
  }
}

/** Why a process ended that nobody ended. */
function causeOf(why: string, said: string): KetlineError {
  if (/out of memory|bad_alloc|allocation failed/i.test(said)) {
    return insufficient("The model needs more memory than models may take here, and its process ended.");
  }
  return unavailable(`The process of this model ended (${why}); the next request starts it again.`, {
    retryAfterSeconds: 1,
  });
}

function rebuild({ error, message }: Extract<HostAnswer, { kind: "error" }>): Error {
  return error === "internal" ? new Error(message) : new KetlineError(error, message);
}

import type { Transaction } from "kysely";
import type { z } from "zod";
import type { Actor, Role } from "../identity/index.ts";

/** Work that may take over a second: recorded, leased to one worker, followed, cancelled and retried. */
export type JobState = "queued" | "running" | "succeeded" | "failed" | "cancelled";

export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly state: JobState;
  readonly spec: unknown;
  /** What the kind's `run` returned; null until it succeeded. */
  readonly result: unknown;
  /** Why it failed or was cancelled, for people to read. */
  readonly error: string | null;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** From 0 to 1. */
  readonly progress: number;
  readonly progressMessage: string | null;
  readonly idempotencyKey: string | null;
  readonly createdBy: string;
  readonly createdMs: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
}

/** One kind of job. `run` may be called twice for the same job, after a crash: it must be idempotent. */
export interface JobKind<Spec = unknown, Result = unknown> {
  /** `<capability>.<verb>`, e.g. `training.fit`. */
  readonly kind: string;
  readonly spec: z.ZodType<Spec>;
  /** The role that may submit and cancel it. */
  readonly role: Role;
  /**
   * 3 by default. An error that `isFinal` (shared/errors.ts) is not tried again.
   */
  readonly maxAttempts?: number;
  /** One hour by default. */
  readonly timeoutMs?: number;
  /**
   * Which of these jobs, which ended long ago, no other row names any more: they are removed. Without it every job of the
   * kind stays, as rows of its capability are shown by it, and loses only its log lines.
   */
  readonly unneeded?: (ids: readonly string[]) => Promise<readonly string[]>;
  /**
   * Puts right what the job leaves behind, such as a run that nobody ends: called before it ends as failed or cancelled,
   * also where the processes of all its attempts went away. It may be called twice, and again after another try.
   */
  readonly putRight?: (left: LeftBehind) => Promise<void>;
  run(context: JobContext<Spec>): Promise<Result>;
}

/** A job that ends without having succeeded. */
export interface LeftBehind {
  readonly jobId: string;
  readonly spec: unknown;
  readonly reason: string;
}

export interface JobContext<Spec> {
  readonly jobId: string;
  readonly spec: Spec;
  readonly attempt: number;
  /** Whether no attempt follows one that ends with this error, unless somebody asks for another. */
  isEndedBy(error: unknown): boolean;
  /** Whoever submitted it, with the role as of the attempt's start. */
  readonly actor: Actor;
  /**
   * The same as of now. A job may do what its submitter may, at its end as at its start: ask this and compare with
   * `allows` before each deed that needs more than the kind's own role.
   *
   * @throws forbidden when the submitter may no longer submit such a job
   */
  actorNow(): Promise<Actor>;
  /** Aborted when the job is cancelled, its time is up, or the process stops. */
  readonly signal: AbortSignal;
  log(line: string): void;
  /** @param done from 0 to 1 */
  progress(done: number, message?: string): void;
}

export interface SubmitOptions {
  readonly actor: Actor;
  /** Submitting again with the same key and kind returns the first job. */
  readonly idempotencyKey?: string;
  readonly delayMs?: number;
  /**
   * Writes what names the job, in the transaction that writes the job: neither is there without the other. Not called
   * when the key has given its job already. It may run twice, and writes with nothing but the transaction.
   */
  readonly alongside?: (transaction: Transaction<unknown>, job: Job) => Promise<void>;
}

/** Submitting and following jobs: what capabilities see of them. */
export interface Jobs {
  /** Makes a kind known to this instance; at start-up, before any job runs. */
  register<Spec, Result>(kind: JobKind<Spec, Result>): void;
  submit<Spec, Result>(kind: JobKind<Spec, Result>, spec: Spec, options: SubmitOptions): Promise<Job>;
  get(id: string): Promise<Job>;
  /** Asks it to stop. A queued job is cancelled at once, a running one when its worker hears of it. */
  cancel(id: string, actor: Actor, reason?: string): Promise<Job>;
}

/** CPU-heavy functions on worker threads, and those that may end their process in processes of their own. */
export interface WorkerPool {
  /**
   * Runs the default export of a module on a worker thread: `(task, report) => result`, where `report(done, message)`
   * passes progress on. Task and result are structured clones. Aborting ends the thread.
   *
   * @param module always written `new URL("./name.worker.ts", import.meta.url)`, so that the build finds it.
   */
  run<Task, Result>(
    module: URL,
    task: Task,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress?: (done: number, message?: string) => void;
      readonly transfer?: readonly ArrayBuffer[];
    },
  ): Promise<Result>;
  /**
   * The same in a process with a limit on its memory, for native code that reads what strangers sent: DuckDB on their
   * files, ONNX Runtime in a training. Aborting ends the process, whatever it is doing.
   *
   * A task that ended its process is done once more, alone in a new one: it must write only where it may write again.
   *
   * @param options.memoryMiB what the process may hold; 1536 by default
   * @throws what the module threw; tooLarge when the memory did not suffice, unsupported when the process ended twice
   * under the task, unavailable, with when to come back, when none starts
   */
  runApart<Task, Result>(
    module: URL,
    task: Task,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress?: (done: number, message?: string) => void;
      readonly memoryMiB?: number;
    },
  ): Promise<Result>;
  /** Why no thread or no process starts, in words; asking tries to start one when it is time to. */
  problem(): string | undefined;
  close(): Promise<void>;
}

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Clock } from "../clock.ts";
import { UncertainChange } from "../database/index.ts";
import type { MessageQueue, QueueMessage } from "../queues/index.ts";
import { createExecution, type Execution } from "./execution.ts";
import type { JobKind } from "./job.ts";
import { type JobOperations, jobQueue } from "./jobs.ts";
import type { JobRow, Lease } from "./store.ts";

export interface JobRunnerOptions {
  readonly jobs: JobOperations;
  readonly queue: MessageQueue;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Jobs that run at the same time. */
  readonly concurrency: number;
  /** Names this process in the lease, for people to read. */
  readonly instanceId: string;
  /** How long a silent worker keeps its job; 30 s by default. */
  readonly leaseMs?: number;
  /** Calls `beat` every so often until the returned function is called; a timer of one second by default. */
  readonly everySecond?: (beat: () => void) => () => void;
  /** Resolves after so long, or at once when the signal is aborted. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** What became of one attempt to run a job: `ran`, or why there was nothing to run here. */
export type RunOutcome = "ran" | "not_due" | "held_or_ended" | "unknown_kind" | "missing";

export interface JobRunner {
  /** Runs one job if it is due and nobody holds it; resolves when this attempt is over. */
  runOne(jobId: string): Promise<RunOutcome>;
  /** Runs everything that is due now, until nothing is. @returns how many attempts were made. */
  drain(): Promise<number>;
  sweep(): Promise<number>;
  /** Ends as failed a job that no worker could start. @returns false when one holds it, or it has ended or is gone. */
  giveUp(jobId: string, reason: string): Promise<boolean>;
  /** Follows the queue until `stop`. */
  start(): void;
  /** Interrupts what runs and gives it back, so that another start takes it up at once. */
  stop(graceMs?: number): Promise<void>;
  /** Ids of the jobs that run here now. */
  running(): readonly string[];
}

const shortestPollMs = 200;
const maxPollMs = 2_000;
/** Long enough to claim the job; the job's own lease counts from then on. */
const visibilityMs = 60_000;

export function createJobRunner(options: JobRunnerOptions): JobRunner {
  const { jobs, queue, clock, logger, concurrency, instanceId, leaseMs = 30_000 } = options;
  const everySecond = options.everySecond ?? secondTimer;
  const pause = options.pause ?? pauseFor;
  const executions = new Map<string, Execution>();
  /** Jobs that are being claimed, or run. */
  const taken = new Set<string>();
  /** Claims whose answer was lost: they may hold. */
  const unanswered = new Map<string, Lease>();
  let loop: Promise<void> | undefined;
  let stopping = false;
  let stopGraceMs: number | undefined;
  let wakeUp: () => void = () => {};

  jobs.local.on("cancelled", (id, reason) => executions.get(id)?.interrupt("cancelled", reason));
  jobs.local.on("woken", () => wakeUp());

  /**
   * Takes the job for this process. The attempt runs on after this resolves, under `attempt`. What runs here is not taken
   * once more, though its lease may have run out while the database was away.
   */
  async function take(jobId: string): Promise<{ attempt: Promise<void> } | Exclude<RunOutcome, "ran">> {
    if (taken.has(jobId)) return "held_or_ended";
    taken.add(jobId);
    try {
      const begun = await claim(jobId);
      if (typeof begun === "string") {
        taken.delete(jobId);
        return begun;
      }
      const { kind, row, lease } = begun;
      const execution = createExecution(
        { jobs, clock, logger, leaseMs, everySecond, pause },
        kind,
        row,
        lease,
      );
      executions.set(jobId, execution);
      const attempt = execution.done.finally(() => {
        executions.delete(jobId);
        taken.delete(jobId);
      });
      if (stopping) execution.interrupt("stopping", stopReason, stopGraceMs);
      return { attempt };
    } catch (error) {
      taken.delete(jobId);
      throw error;
    }
  }

  async function claim(jobId: string): Promise<Claimed | Exclude<RunOutcome, "ran">> {
    const nowMs = clock();
    const seen = await jobs.store.get(jobId);
    if (seen === undefined) return "missing";
    const kind = jobs.kinds.get(seen.kind);
    if (kind === undefined) return "unknown_kind";
    const before = unanswered.get(jobId);
    unanswered.delete(jobId);
    if (before !== undefined && seen.lease === before.token) {
      const nothing = { progress: 0, progressMessage: null, lines: [] };
      const held = await jobs.store.heartbeat(before, nowMs + leaseMs, nothing);
      if (held !== null) return { kind, row: seen, lease: before };
    }
    const lease = { jobId, token: randomUUID() };
    try {
      const row = await jobs.store.claim(lease, instanceId, nowMs, nowMs + leaseMs);
      if (row !== undefined) return { kind, row, lease };
    } catch (error) {
      if (error instanceof UncertainChange) unanswered.set(jobId, lease);
      throw error;
    }
    return seen.state === "queued" && seen.due_ms > nowMs ? "not_due" : "held_or_ended";
  }

  async function runOne(jobId: string): Promise<RunOutcome> {
    const taken = await take(jobId);
    if (typeof taken === "string") return taken;
    await taken.attempt;
    return "ran";
  }

  /** The message has done its work once the job's lease is held: from here the lease and the sweep see to it. */
  async function answer(message: QueueMessage, active: Set<Promise<void>>): Promise<void> {
    try {
      const taken = await take(message.body);
      if (taken === "not_due") {
        const row = await jobs.store.get(message.body);
        if (row !== undefined) await jobs.wake(row.id, row.due_ms - clock());
      }
      await queue.complete(message);
      if (typeof taken === "string") return;
      const attempt = taken.attempt.catch((error: unknown) => {
        logger.error({ jobId: message.body, err: error }, "the end of a job could not be written");
      });
      active.add(attempt);
      attempt.finally(() => active.delete(attempt));
    } catch (error) {
      logger.error({ jobId: message.body, err: error }, "a job could not be started");
      await queue.retry(message, { delayMs: 5_000 }).catch(() => {});
    }
  }

  async function follow(): Promise<void> {
    const active = new Set<Promise<void>>();
    let pollMs = shortestPollMs;
    let sweptAt = Number.NEGATIVE_INFINITY;
    // At first, and when the database is back: all that is due, as nobody had the time to send messages for it.
    let sweepsAll = true;
    while (!stopping) {
      if (sweepsAll || performance.now() - sweptAt >= leaseMs / 2) {
        sweepsAll = await (sweepsAll ? jobs.sweep(0) : jobs.sweep()).then(
          () => false,
          (error: unknown) => {
            logger.error({ err: error }, "the sweep of the jobs failed");
            return true;
          },
        );
        sweptAt = performance.now();
      }
      const free = concurrency - active.size;
      if (free <= 0) {
        await Promise.race(active);
        continue;
      }
      const woken = new Promise<void>((resolve) => {
        wakeUp = resolve;
      });
      const messages = await queue
        .receive(jobQueue, { max: Math.min(free, 32), visibilityMs })
        .catch((error: unknown) => {
          logger.error({ err: error }, "the queue of jobs could not be read");
          sweepsAll = true;
          return [];
        });
      for (const message of messages) await answer(message, active);
      if (messages.length > 0) {
        pollMs = shortestPollMs;
      } else {
        pollMs = await idle(pollMs, woken, active);
      }
    }
    await Promise.all(active);
  }

  /** Waits until something may have arrived. @returns how long to wait the next time. */
  async function idle(pollMs: number, woken: Promise<void>, active: Set<Promise<void>>): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const slept = new Promise<"slept">((resolve) => {
      timer = setTimeout(() => resolve("slept"), pollMs);
    });
    const reason = await Promise.race([slept, woken, ...active]);
    clearTimeout(timer);
    return reason === "slept" ? Math.min(pollMs * 2, maxPollMs) : shortestPollMs;
  }

  return {
    runOne,
    sweep: () => jobs.sweep(),
    running: () => [...executions.keys()],

    giveUp: (jobId, reason) => jobs.giveUp(jobId, reason),

    async drain() {
      let attempts = 0;
      for (;;) {
        await jobs.endAbandoned();
        const due = await jobs.store.due([...jobs.kinds.keys()], clock(), concurrency);
        const outcomes = await Promise.all(due.map(runOne));
        const ran = outcomes.filter((outcome) => outcome === "ran").length;
        attempts += ran;
        if (ran === 0) return attempts;
      }
    },

    start() {
      if (loop !== undefined) return;
      stopping = false;
      loop = follow();
    },

    async stop(graceMs = 10_000) {
      stopping = true;
      stopGraceMs = graceMs;
      wakeUp();
      for (const execution of executions.values()) execution.interrupt("stopping", stopReason, graceMs);
      await Promise.allSettled([...executions.values()].map((execution) => execution.done));
      await loop;
      loop = undefined;
    },
  };
}

const stopReason = "The server that ran the job is stopping.";

interface Claimed {
  readonly kind: JobKind;
  readonly row: JobRow;
  readonly lease: Lease;
}

async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

function secondTimer(beat: () => void): () => void {
  const timer = setInterval(beat, 1000);
  return () => clearInterval(timer);
}

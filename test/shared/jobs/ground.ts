import pino from "pino";
import { z } from "zod";
import type { Database, Migration } from "../../../shared/database/index.ts";
import type { Actor } from "../../../shared/identity/index.ts";
import { type AuditOperations, createAuditLog, identityMigrations } from "../../../shared/identity/index.ts";
import {
  createJobRunner,
  createJobs,
  type JobContext,
  type JobKind,
  type JobOperations,
  type JobRunner,
  jobMigrations,
} from "../../../shared/jobs/index.ts";
import { type MessageQueue, openMessageQueue, queueMigrations } from "../../../shared/queues/index.ts";
import type { Events } from "../../../shared/telemetry/index.ts";
import { type SettableClock, settableClock } from "../../support/application.ts";

export const jobTables: readonly Migration[] = [...jobMigrations, ...queueMigrations, ...identityMigrations];

export const ada: Actor = { id: "ada", name: "Ada", role: "contributor", source: "entra" };

/** Jobs over one database, as one process sees them. */
export interface JobGround {
  readonly database: Database;
  readonly queue: MessageQueue;
  readonly clock: SettableClock;
  readonly audit: AuditOperations;
  readonly jobs: JobOperations;
  readonly ended: Parameters<Events["jobEnded"]>[0][];
  /** A runner whose heartbeats happen when `beat` is called. */
  runner(options?: {
    readonly concurrency?: number;
    readonly leaseMs?: number;
    /** Puts faults between the runner and the jobs' rows. */
    readonly disturb?: (store: JobOperations["store"]) => Partial<JobOperations["store"]>;
    /** Stands for the time between two tries to write an end. */
    readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
  }): BeatingRunner;
}

export interface BeatingRunner extends JobRunner {
  /** Lets a second pass for the jobs that run: their heartbeats are due. */
  beat(): void;
}

export async function jobGround(
  database: Database,
  kinds: readonly JobKind[],
  clock: SettableClock = settableClock(),
  more: { readonly retentionDays?: number } = {},
): Promise<JobGround> {
  const queue = await openMessageQueue({ kind: "database" }, { database, clock });
  const audit = createAuditLog({ database, clock });
  const logger = pino({ level: "silent" });
  const ended: JobGround["ended"] = [];
  const events = { jobEnded: (event: JobGround["ended"][number]) => void ended.push(event) };
  const jobs = createJobs({ database, queue, clock, audit, logger, kinds, events, ...more });
  let runners = 0;
  return {
    database,
    queue,
    clock,
    audit,
    jobs,
    ended,
    runner({ concurrency = 4, leaseMs = 30_000, disturb = () => ({}), pause = async () => {} } = {}) {
      const beats = new Set<() => void>();
      const everySecond = (beat: () => void) => {
        beats.add(beat);
        return () => beats.delete(beat);
      };
      const instanceId = `runner-${++runners}`;
      const store = { ...jobs.store, ...disturb(jobs.store) };
      const runner = createJobRunner({
        jobs: { ...jobs, store },
        pause,
        queue,
        clock,
        logger,
        concurrency,
        instanceId,
        leaseMs,
        everySecond,
      });
      return { ...runner, beat: () => beats.forEach((beat) => void beat()) };
    },
  };
}

/** A kind of job that does what the test tells it. */
export function kindOf<Result>(
  run: (context: JobContext<{ readonly n: number }>) => Promise<Result>,
  more: Partial<JobKind<{ readonly n: number }, Result>> = {},
): JobKind<{ readonly n: number }, Result> {
  return { kind: "test.work", spec: z.object({ n: z.number() }), role: "contributor", run, ...more };
}

/** Work that goes on until it is told to stop, and lets the test wait for its start. */
export function endlessWork() {
  let started: (context: JobContext<{ readonly n: number }>) => void = () => {};
  const first = new Promise<JobContext<{ readonly n: number }>>((resolve) => {
    started = resolve;
  });
  return {
    started: first,
    run: (context: JobContext<{ readonly n: number }>) =>
      new Promise<never>((_, reject) => {
        started(context);
        const stop = () => reject(new Error("stopped in the middle"));
        context.signal.addEventListener("abort", stop, { once: true });
        if (context.signal.aborted) stop();
      }),
  };
}

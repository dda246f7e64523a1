import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import type { Capability } from "../capability.ts";
import type { Clock } from "../clock.ts";
import { type Database, UncertainChange } from "../database/index.ts";
import { conflict, forbidden, invalid, isFinal, isKetlineError, notFound } from "../errors.ts";
import { invalidBySchema } from "../http/index.ts";
import { type Actor, type AuditLog, allows } from "../identity/index.ts";
import type { MessageQueue } from "../queues/index.ts";
import { keptSince } from "../retention.ts";
import { type Events, traceCarrier } from "../telemetry/index.ts";
import type { Job, JobKind, Jobs, SubmitOptions } from "./job.ts";
import { removeEndedJobs } from "./retention.ts";
import { createJobRetentionStore } from "./retention-store.ts";
import { jobRoutes } from "./routes.ts";
import {
  abandonedReason,
  createJobStore,
  type JobFilter,
  type JobPosition,
  type JobRow,
  type JobStore,
  jobOf,
} from "./store.ts";

/** The queue whose messages are the ids of jobs to run. */
export const jobQueue = "ketline-jobs";

export interface JobsOptions {
  readonly database: Database;
  readonly queue: MessageQueue;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly kinds?: readonly JobKind[];
  /** Who a submitter is now. @throws forbidden when nobody any more. Without it everybody stays who they were. */
  readonly actorNow?: (actor: Actor) => Promise<Actor>;
  /** Told of every job that ended, whoever ended it. */
  readonly events?: Pick<Events, "jobEnded">;
  /** For how many days ended jobs are kept; for ever when null or not given. */
  readonly retentionDays?: number | null;
}

export interface LogLine {
  readonly line: number;
  readonly attempt: number;
  readonly atMs: number;
  readonly text: string;
}

/** What the routes, the runner and the composition root see of the jobs, beyond what capabilities do. */
export interface JobOperations extends Jobs, Capability {
  list(filter: JobFilter, after: JobPosition | undefined, limit: number): Promise<readonly Job[]>;
  /** Lines after `afterLine` (0 for the beginning), oldest first. */
  logs(id: string, afterLine: number, limit: number): Promise<readonly LogLine[]>;
  /** Queues a failed or cancelled job again, with the attempts of its kind. */
  retry(id: string, actor: Actor): Promise<Job>;
  /**
   * Puts right what messages and workers that were lost left behind: wakes each due job for which no message was sent
   * in the last `unwokenMs` (a minute by default), and ends those that cannot be run again.
   *
   * @returns how many jobs were woken.
   */
  sweep(unwokenMs?: number): Promise<number>;
  /** Ends the jobs whose worker went away and that cannot be run again. */
  endAbandoned(): Promise<void>;
  /**
   * Has the kind put right what the job leaves behind, before it ends without success. An error that would come again
   * each time is logged: it must not keep the job from its end. @throws others, such as of a database that is away
   */
  putRight(row: Pick<JobRow, "id" | "kind" | "spec">, reason: string): Promise<void>;
  /** Ends as failed a job that nobody runs. @returns false when somebody does, or it has ended or is gone */
  giveUp(id: string, reason: string): Promise<boolean>;
  /** Whom a job acts for, as of now. @throws forbidden when its submitter may no longer submit such a job */
  actorOf(row: Pick<JobRow, "kind" | "actor">): Promise<Actor>;
  readonly kinds: ReadonlyMap<string, JobKind>;
  readonly store: JobStore;
  /** Sends the message that wakes a worker. A message that cannot be sent is left to the sweep. */
  wake(id: string, delayMs: number): Promise<void>;
  readonly ended: (row: JobRow) => void;
  /** What happens in this process, so that a runner beside it need not wait for its next poll. */
  readonly local: EventEmitter<{ woken: []; cancelled: [id: string, reason: string] }>;
}

/** A job that waits this long after its last message gets another one. */
const wakeAgainMs = 60_000;
const sweepPage = 500;
/** Azure Storage Queues hide a message for 7 days at most; the sweep wakes what waits longer. */
const maxDelayMs = 7 * 24 * 3600_000;

export function createJobs(options: JobsOptions): JobOperations {
  const { database, queue, clock, audit, logger } = options;
  const store = createJobStore(database);
  const kinds = new Map<string, JobKind>();
  const local: JobOperations["local"] = new EventEmitter();

  const ended = (row: JobRow): void => {
    const endedMs = row.ended_ms ?? clock();
    const startedMs = row.started_ms ?? endedMs;
    options.events?.jobEnded({
      jobId: row.id,
      kind: row.kind,
      state: row.state === "succeeded" || row.state === "cancelled" ? row.state : "failed",
      attempts: row.attempt,
      durationMs: endedMs - startedMs,
      waitedMs: startedMs - row.created_ms,
    });
  };

  const find = async (id: string): Promise<JobRow> => {
    const row = await store.get(id);
    if (row === undefined) throw notFound(`There is no job "${id}".`);
    return row;
  };

  const putRight: JobOperations["putRight"] = async (row, reason) => {
    try {
      await kinds.get(row.kind)?.putRight?.({ jobId: row.id, spec: JSON.parse(row.spec), reason });
    } catch (error) {
      if (isKetlineError(error) && !isFinal(error)) throw error;
      logger.error(
        { jobId: row.id, kind: row.kind, err: error },
        "what a job left behind cannot be put right",
      );
    }
  };

  const endIdle = async (
    row: JobRow,
    state: "cancelled" | "failed",
    reason: string,
  ): Promise<JobRow | undefined> => {
    const isLost = row.state === "running" && (row.lease_until_ms ?? 0) < clock();
    if (row.state !== "queued" && !isLost) return undefined;
    await putRight(row, reason);
    return store.endIdle(row.id, state, reason, clock());
  };

  const wake = async (id: string, delayMs: number): Promise<void> => {
    try {
      await queue.send(jobQueue, id, { delayMs: Math.min(Math.max(0, delayMs), maxDelayMs) });
    } catch (error) {
      logger.warn({ jobId: id, err: error }, "no message could be sent for a job; the sweep will wake it");
    }
    local.emit("woken");
  };

  /** A commit that was made may lose its answer with the connection: then the row says whether it was. */
  const insert = async (row: JobRow, { actor, alongside }: SubmitOptions): Promise<boolean> => {
    const after = { kind: row.kind, idempotencyKey: row.idempotency_key };
    try {
      return await store.insert(row, async (transaction) => {
        await alongside?.(transaction, jobOf(row));
        await audit.record({ actor, action: "job.submit", subject: `job/${row.id}`, after }, transaction);
      });
    } catch (error) {
      if (!(error instanceof UncertainChange)) throw error;
      const written = await store.get(row.id).catch(() => undefined);
      if (written === undefined) throw error;
      return true;
    }
  };

  /** The role that a job of this row's kind asks for; admin when the kind is not known here. */
  const authorise = (kind: string, actor: Actor, verb: string): void => {
    const role = kinds.get(kind)?.role ?? "admin";
    if (!allows(actor, role)) {
      throw forbidden(`${actor.name} has the role ${actor.role}; to ${verb} a ${kind} job needs ${role}.`);
    }
  };

  const jobs: Omit<JobOperations, "routes"> = {
    kinds,
    store,
    local,
    wake,
    putRight,
    ended,
    jobKinds: [],
    timers: [
      {
        name: "jobs-sweep",
        schedule: "0 * * * * *",
        run: async () => {
          await jobs.sweep();
        },
      },
      {
        name: "jobs-retention",
        schedule: "0 33 3 * * *",
        run: async () => {
          const beforeMs = keptSince(options.retentionDays ?? null, clock());
          if (beforeMs === null) return;
          await removeEndedJobs({ store: createJobRetentionStore(database), kinds, clock, logger }, beforeMs);
        },
      },
    ],

    register(kind) {
      const known = kinds.get(kind.kind);
      if (known !== undefined) throw new Error(`Two kinds of job are named "${kind.kind}".`);
      kinds.set(kind.kind, kind);
    },

    async submit<Spec, Result>(kind: JobKind<Spec, Result>, spec: Spec, submission: SubmitOptions) {
      const { actor, idempotencyKey = null, delayMs = 0 } = submission;
      if (!kinds.has(kind.kind)) throw new Error(`The kind of job "${kind.kind}" is not registered.`);
      authorise(kind.kind, actor, "submit");
      const parsed = kind.spec.safeParse(spec);
      if (!parsed.success) throw invalidBySchema(parsed.error, spec, "spec");
      checkIdempotencyKey(idempotencyKey);
      const nowMs = clock();
      const row: JobRow = {
        id: randomUUID(),
        kind: kind.kind,
        state: "queued",
        spec: JSON.stringify(parsed.data),
        result: null,
        error: null,
        attempt: 0,
        max_attempts: kind.maxAttempts ?? defaultAttempts,
        progress: 0,
        progress_message: null,
        idempotency_key: idempotencyKey,
        actor: JSON.stringify(actor),
        created_ms: nowMs,
        started_ms: null,
        ended_ms: null,
        due_ms: nowMs + delayMs,
        woken_ms: nowMs,
        lease: null,
        lease_owner: null,
        lease_until_ms: null,
        cancel_reason: null,
        log_count: 0,
        trace: JSON.stringify(traceCarrier()),
      };
      if (!(await insert(row, submission))) {
        const first = await store.byIdempotencyKey(kind.kind, idempotencyKey ?? "");
        if (first === undefined) throw conflict(`A ${kind.kind} job with this key was removed just now.`);
        return jobOf(first);
      }
      await wake(row.id, delayMs);
      return jobOf(row);
    },

    async actorOf(row) {
      const submitter = JSON.parse(row.actor) as Actor;
      const actor = (await options.actorNow?.(submitter)) ?? submitter;
      authorise(row.kind, actor, "run");
      return actor;
    },

    get: async (id) => jobOf(await find(id)),

    async cancel(id, actor, reason) {
      const before = await find(id);
      authorise(before.kind, actor, "cancel");
      const why = clip(`Cancelled by ${actor.name}${reason === undefined ? "." : `: ${reason}`}`);
      const idle = await endIdle(before, "cancelled", why);
      const row = idle ?? (await store.requestCancel(id, why)) ?? (await find(id));
      if (row.state === "succeeded" || row.state === "failed") {
        throw conflict(`Job ${id} has ${row.state} already; only a queued or running job can be cancelled.`);
      }
      if (before.state === "cancelled") return jobOf(row);
      await audit.record({
        actor,
        action: "job.cancel",
        subject: `job/${id}`,
        before: { state: before.state },
        after: { state: row.state },
        ...(reason === undefined ? {} : { reason }),
      });
      if (idle === undefined) local.emit("cancelled", id, why);
      else ended(idle);
      return jobOf(row);
    },

    async retry(id, actor) {
      const before = await find(id);
      authorise(before.kind, actor, "retry");
      const attempts = kinds.get(before.kind)?.maxAttempts ?? defaultAttempts;
      const row = await store.requeue(id, attempts, clock());
      if (row === undefined) {
        throw conflict(`Job ${id} is ${before.state}; only a failed or cancelled job can be tried again.`);
      }
      await audit.record({
        actor,
        action: "job.retry",
        subject: `job/${id}`,
        before: { state: before.state },
        after: { state: row.state },
      });
      await wake(id, 0);
      return jobOf(row);
    },

    list: async (filter, after, limit) => (await store.list(filter, after, limit)).map(jobOf),

    async logs(id, afterLine, limit) {
      await find(id);
      const rows = await store.logs(id, afterLine, limit);
      return rows.map((row) => ({
        line: row.line_number,
        attempt: row.attempt,
        atMs: row.at_ms,
        text: row.line,
      }));
    },

    async endAbandoned() {
      for (const row of await store.abandoned(clock(), sweepPage)) {
        try {
          await putRight(row, row.cancel_reason ?? abandonedReason);
        } catch (error) {
          logger.error({ jobId: row.id, kind: row.kind, err: error }, "what a job left behind stays so far");
          continue; // the next sweep tries again
        }
        const now = await store.endAbandoned(row, clock());
        if (now !== undefined) ended(now);
      }
    },

    async giveUp(id, reason) {
      const before = await store.get(id);
      const row = before && (await endIdle(before, "failed", clip(reason)));
      if (row === undefined) return false;
      ended(row);
      return true;
    },

    async sweep(unwokenMs = wakeAgainMs) {
      await jobs.endAbandoned();
      const nowMs = clock();
      let woken = 0;
      for (;;) {
        const ids = await store.claimWaking([...kinds.keys()], nowMs, nowMs - unwokenMs, sweepPage);
        for (const id of ids) await wake(id, 0);
        woken += ids.length;
        if (ids.length < sweepPage) return woken;
      }
    },
  };
  for (const kind of options.kinds ?? []) jobs.register(kind);
  const operations: JobOperations = Object.assign(jobs, { routes: [] });
  return Object.assign(operations, { routes: jobRoutes(operations) });
}

export const defaultAttempts = 3;

/** What people read about a job is kept short; PostgreSQL's text cannot hold a NUL. */
export function clip(text: string, length = 2000): string {
  const clean = text.replaceAll("\u0000", "");
  return clean.length <= length ? clean : `${clean.slice(0, length - 1)}…`;
}

function checkIdempotencyKey(key: string | null): void {
  if (key === null || /^[\x20-\x7e]{1,200}$/.test(key)) return;
  throw invalid(
    `The idempotency key ${JSON.stringify(key).slice(0, 100)} is not 1 to 200 printable ASCII characters.`,
  );
}

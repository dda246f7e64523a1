import { type Kysely, sql, type Transaction } from "kysely";
import type { Database } from "../database/index.ts";
import type { Job, JobState } from "./job.ts";

export interface JobRow {
  id: string;
  kind: string;
  state: JobState;
  spec: string;
  result: string | null;
  error: string | null;
  attempt: number;
  max_attempts: number;
  progress: number;
  progress_message: string | null;
  idempotency_key: string | null;
  /** The Actor who submitted it, as JSON. */
  actor: string;
  created_ms: number;
  started_ms: number | null;
  ended_ms: number | null;
  /** When it may start. */
  due_ms: number;
  /** When a message was last sent for it. */
  woken_ms: number;
  /** Names one claim; whoever writes must hold it. */
  lease: string | null;
  lease_owner: string | null;
  lease_until_ms: number | null;
  /** Not null once a cancellation was asked for. */
  cancel_reason: string | null;
  log_count: number;
  /** The trace of the request that submitted it, as W3C headers in JSON. */
  trace: string;
}

export interface JobLogRow {
  job_id: string;
  line_number: number;
  attempt: number;
  at_ms: number;
  line: string;
}

export interface JobTables {
  job: JobRow;
  job_log: JobLogRow;
}

/** One claim of a job by one worker. */
export interface Lease {
  readonly jobId: string;
  /** Drawn at random for each claim. */
  readonly token: string;
}

/** What a worker has to tell since it last wrote. */
export interface Report {
  readonly progress: number;
  readonly progressMessage: string | null;
  readonly lines: readonly JobLogRow[];
}

export type Ending =
  | { readonly state: "succeeded"; readonly result: string }
  | { readonly state: "failed"; readonly error: string }
  | { readonly state: "cancelled"; readonly error: string }
  /** Back in the queue; an attempt that was given up without fault is not counted. */
  | {
      readonly state: "queued";
      readonly error: string | null;
      readonly dueMs: number;
      readonly countAttempt: boolean;
    };

export interface JobFilter {
  readonly kind?: string | undefined;
  readonly state?: JobState | undefined;
}

export interface JobPosition {
  readonly createdMs: number;
  readonly id: string;
}

export type JobStore = ReturnType<typeof createJobStore>;

/** The SQL of the jobs. */
export function createJobStore(database: Database) {
  const db = database.tables<JobTables>();
  return {
    /**
     * Inserts the job unless one of its kind has the same idempotency key, and in the same transaction what belongs to it.
     *
     * @returns whether it was inserted
     */
    insert: (row: JobRow, alongside: (trx: Transaction<unknown>) => Promise<void>): Promise<boolean> =>
      database.transaction<JobTables, boolean>(async (trx) => {
        const isNew = await insertJob(trx, row);
        if (isNew) await alongside(trx as unknown as Transaction<unknown>);
        return isNew;
      }),

    get: (id: string) => db.selectFrom("job").selectAll().where("id", "=", id).executeTakeFirst(),

    byIdempotencyKey: (kind: string, key: string) =>
      db
        .selectFrom("job")
        .selectAll()
        .where("kind", "=", kind)
        .where("idempotency_key", "=", key)
        .executeTakeFirst(),

    /** Newest first. */
    list(filter: JobFilter, after: JobPosition | undefined, limit: number): Promise<JobRow[]> {
      let query = db.selectFrom("job").selectAll();
      if (filter.kind !== undefined) query = query.where("kind", "=", filter.kind);
      if (filter.state !== undefined) query = query.where("state", "=", filter.state);
      if (after !== undefined) {
        const { createdMs, id } = after;
        query = query.where((is) =>
          is.or([
            is("created_ms", "<", createdMs),
            is.and([is("created_ms", "=", createdMs), is("id", "<", id)]),
          ]),
        );
      }
      return query.orderBy("created_ms", "desc").orderBy("id", "desc").limit(limit).execute();
    },

    logs: (jobId: string, afterLine: number, limit: number): Promise<JobLogRow[]> =>
      db
        .selectFrom("job_log")
        .selectAll()
        .where("job_id", "=", jobId)
        .where("line_number", ">", afterLine)
        .orderBy("line_number")
        .limit(limit)
        .execute(),

    /**
     * Takes a job that is due, or whose worker went away, in one conditional update: of all who try, one succeeds.
     * @returns the job as it is now, or undefined when there was nothing to take.
     */
    claim: (lease: Lease, owner: string, nowMs: number, leaseUntilMs: number): Promise<JobRow | undefined> =>
      db
        .updateTable("job")
        .set((is) => ({
          state: "running",
          attempt: is("attempt", "+", 1),
          progress: 0,
          progress_message: null,
          lease: lease.token,
          lease_owner: owner,
          lease_until_ms: leaseUntilMs,
          started_ms: sql<number>`coalesce(started_ms, ${nowMs})`,
        }))
        .where("id", "=", lease.jobId)
        .where((is) =>
          is.or([
            is.and([is("state", "=", "queued"), is("due_ms", "<=", nowMs)]),
            is.and([
              is("state", "=", "running"),
              is("lease_until_ms", "<", nowMs),
              is("attempt", "<", is.ref("max_attempts")),
              is("cancel_reason", "is", null),
            ]),
          ]),
        )
        .returningAll()
        .executeTakeFirst(),

    /** Renews the lease and writes the report. @returns null when the lease is no longer held. */
    heartbeat: (
      lease: Lease,
      leaseUntilMs: number,
      report: Report,
    ): Promise<{ cancelReason: string | null } | null> =>
      database.transaction<JobTables, { cancelReason: string | null } | null>(async (trx) => {
        const held = await trx
          .updateTable("job")
          .set((is) => ({
            lease_until_ms: leaseUntilMs,
            progress: report.progress,
            progress_message: report.progressMessage,
            log_count: is("log_count", "+", report.lines.length),
          }))
          .where("id", "=", lease.jobId)
          .where("state", "=", "running")
          .where("lease", "=", lease.token)
          .returning("cancel_reason")
          .executeTakeFirst();
        if (held === undefined) return null;
        await insertLines(trx, report.lines);
        return { cancelReason: held.cancel_reason };
      }),

    /** Ends the claim. @returns the job as it is now, or null when the lease was no longer held: nothing is written. */
    finish: (lease: Lease, nowMs: number, report: Report, ending: Ending): Promise<JobRow | null> =>
      database.transaction<JobTables, JobRow | null>(async (trx) => {
        const row = await trx
          .updateTable("job")
          .set((is) => ({
            ...endingColumns(ending, nowMs),
            progress: ending.state === "succeeded" ? 1 : report.progress,
            progress_message: report.progressMessage,
            log_count: is("log_count", "+", report.lines.length),
            lease: null,
            lease_owner: null,
            lease_until_ms: null,
            ...(ending.state === "queued" && !ending.countAttempt ? { attempt: is("attempt", "-", 1) } : {}),
          }))
          .where("id", "=", lease.jobId)
          .where("state", "=", "running")
          .where("lease", "=", lease.token)
          .returningAll()
          .executeTakeFirst();
        if (row === undefined) return null;
        await insertLines(trx, report.lines);
        return row;
      }),

    /** Ends a job that nobody runs. @returns the job, or undefined when it is not in such a state. */
    endIdle: (
      id: string,
      state: "cancelled" | "failed",
      reason: string,
      nowMs: number,
    ): Promise<JobRow | undefined> =>
      db
        .updateTable("job")
        .set({
          state,
          error: reason,
          ...(state === "cancelled" ? { cancel_reason: reason } : {}),
          ended_ms: nowMs,
          lease: null,
          lease_owner: null,
          lease_until_ms: null,
        })
        .where("id", "=", id)
        .where((is) =>
          is.or([
            is("state", "=", "queued"),
            is.and([is("state", "=", "running"), is("lease_until_ms", "<", nowMs)]),
          ]),
        )
        .returningAll()
        .executeTakeFirst(),

    /** Leaves word for the worker. The first reason given stays. */
    requestCancel: (id: string, reason: string): Promise<JobRow | undefined> =>
      db
        .updateTable("job")
        .set({ cancel_reason: sql<string>`coalesce(cancel_reason, ${reason})` })
        .where("id", "=", id)
        .where("state", "=", "running")
        .returningAll()
        .executeTakeFirst(),

    /** Queues an ended job again, with more attempts. @returns undefined when it is not failed or cancelled. */
    requeue: (id: string, moreAttempts: number, nowMs: number): Promise<JobRow | undefined> =>
      db
        .updateTable("job")
        .set((is) => ({
          state: "queued",
          error: null,
          cancel_reason: null,
          ended_ms: null,
          due_ms: nowMs,
          woken_ms: nowMs,
          progress: 0,
          progress_message: null,
          max_attempts: is("attempt", "+", moreAttempts),
        }))
        .where("id", "=", id)
        .where("state", "in", ["failed", "cancelled"])
        .returningAll()
        .executeTakeFirst(),

    /**
     * The jobs whose worker went away and that cannot be run again: a cancellation was asked for, or the attempts are
     * used up.
     */
    abandoned: (nowMs: number, limit: number): Promise<JobRow[]> =>
      db
        .selectFrom("job")
        .selectAll()
        .where("state", "=", "running")
        .where("lease_until_ms", "<", nowMs)
        .where((is) =>
          is.or([is("cancel_reason", "is not", null), is("attempt", ">=", is.ref("max_attempts"))]),
        )
        .orderBy("lease_until_ms")
        .limit(limit)
        .execute(),

    /** Ends one of them. @returns undefined when its worker is back, or somebody else has ended it. */
    endAbandoned: ({ id, lease }: JobRow, nowMs: number): Promise<JobRow | undefined> =>
      db
        .updateTable("job")
        .set({
          state: sql<JobState>`case when cancel_reason is null then 'failed' else 'cancelled' end`,
          error: sql<string>`coalesce(cancel_reason, ${abandonedReason})`,
          ended_ms: nowMs,
          lease: null,
          lease_owner: null,
          lease_until_ms: null,
        })
        .where("id", "=", id)
        .where("state", "=", "running")
        .where("lease", "=", lease)
        .where("lease_until_ms", "<", nowMs)
        .returningAll()
        .executeTakeFirst(),

    /** Jobs that could start now, the longest due first. */
    async due(kinds: readonly string[], nowMs: number, limit: number): Promise<string[]> {
      if (kinds.length === 0) return [];
      const rows = await dueQuery(db, kinds, nowMs).select("id").orderBy("due_ms").limit(limit).execute();
      return rows.map((row) => row.id);
    },

    /**
     * Of the jobs that could start now, marks and returns those for which no message was sent since `wokenBeforeMs`.
     * Two sweeps at once do not both get the same one.
     */
    async claimWaking(
      kinds: readonly string[],
      nowMs: number,
      wokenBeforeMs: number,
      limit: number,
    ): Promise<string[]> {
      if (kinds.length === 0) return [];
      // A worker that went away is another reason to wake somebody, once, however recent the last message is.
      const unwoken = sql<boolean>`(woken_ms < ${wokenBeforeMs} or (state = 'running' and woken_ms < lease_until_ms))`;
      const candidates = await dueQuery(db, kinds, nowMs)
        .select("id")
        .where(unwoken)
        .orderBy("due_ms")
        .limit(limit)
        .execute();
      if (candidates.length === 0) return [];
      const rows = await db
        .updateTable("job")
        .set({ woken_ms: nowMs })
        .where(
          "id",
          "in",
          candidates.map((row) => row.id),
        )
        .where(unwoken)
        .returning("id")
        .execute();
      return rows.map((row) => row.id);
    },
  };
}

export const abandonedReason = "The process that ran it went away each time it was tried.";

function dueQuery(db: Kysely<JobTables>, kinds: readonly string[], nowMs: number) {
  return db
    .selectFrom("job")
    .where("kind", "in", kinds)
    .where((is) =>
      is.or([
        is.and([is("state", "=", "queued"), is("due_ms", "<=", nowMs)]),
        is.and([is("state", "=", "running"), is("lease_until_ms", "<", nowMs)]),
      ]),
    );
}

function endingColumns(ending: Ending, nowMs: number) {
  switch (ending.state) {
    case "succeeded":
      return { state: ending.state, result: ending.result, error: null, ended_ms: nowMs };
    case "failed":
    case "cancelled":
      return { state: ending.state, error: ending.error, ended_ms: nowMs };
    case "queued":
      // A cancellation that was asked for meanwhile must not be answered with another run.
      return {
        state: sql<JobState>`case when cancel_reason is null then 'queued' else 'cancelled' end`,
        error: sql<string | null>`coalesce(cancel_reason, cast(${ending.error} as text))`,
        ended_ms: sql<
          number | null
        >`case when cancel_reason is null then null else cast(${nowMs} as bigint) end`,
        due_ms: ending.dueMs,
        woken_ms: nowMs,
      };
  }
}

async function insertJob(handle: Transaction<JobTables>, row: JobRow): Promise<boolean> {
  const inserted = await handle
    .insertInto("job")
    .values(row)
    .onConflict((conflict) => conflict.columns(["kind", "idempotency_key"]).doNothing())
    .returning("id")
    .executeTakeFirst();
  return inserted !== undefined;
}

/**
 * 100 rows of five parameters stay far below SQLite's limit of variables in one statement. Lines that are there already
 * were written by a report whose commit was not answered.
 */
async function insertLines(trx: Transaction<JobTables>, lines: readonly JobLogRow[]): Promise<void> {
  for (let start = 0; start < lines.length; start += 100) {
    await trx
      .insertInto("job_log")
      .values(lines.slice(start, start + 100))
      .onConflict((conflict) => conflict.columns(["job_id", "line_number"]).doNothing())
      .execute();
  }
}

export function jobOf(row: JobRow): Job {
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    spec: JSON.parse(row.spec),
    result: row.result === null ? null : JSON.parse(row.result),
    error: row.error,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    progress: row.progress,
    progressMessage: row.progress_message,
    idempotencyKey: row.idempotency_key,
    createdBy: JSON.parse(row.actor).id,
    createdMs: row.created_ms,
    startedMs: row.started_ms,
    endedMs: row.ended_ms,
  };
}

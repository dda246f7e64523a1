import type { Span } from "@opentelemetry/api";
import type { Logger } from "pino";
import type { Clock } from "../clock.ts";
import { UncertainChange } from "../database/index.ts";
import { isFinal, isKetlineError, isMachinesFault } from "../errors.ts";
import { failSpan, inSpan, redactText } from "../telemetry/index.ts";
import type { JobKind } from "./job.ts";
import { clip, type JobOperations } from "./jobs.ts";
import type { Ending, JobLogRow, JobRow, Lease, Report } from "./store.ts";

export interface ExecutionOptions {
  readonly jobs: JobOperations;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leaseMs: number;
  readonly everySecond: (beat: () => void) => () => void;
  /** Resolves after so long, or at once when the signal is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

export type InterruptionKind = "cancelled" | "timeout" | "stopping" | "lease_lost";

/** Why a job's signal was aborted. */
export class JobInterruption extends Error {
  readonly why: InterruptionKind;

  constructor(why: InterruptionKind, message: string) {
    super(message);
    this.name = "JobInterruption";
    this.why = why;
  }
}

/** One attempt of one job, from the claim to the end of its lease. */
export interface Execution {
  /** Resolves when the attempt is over and its end is written; rejects only when it could not be written. */
  readonly done: Promise<void>;
  /**
   * Aborts the job's signal; work that has not ended `graceMs` later is left behind and its result ignored. The first
   * reason counts, the shortest time too. A stop also ends the tries to write the attempt's end when that time is over.
   */
  interrupt(why: InterruptionKind, message: string, graceMs?: number): void;
}

const defaultTimeoutMs = 3600_000;
const defaultGraceMs = 10_000;
/** The lease is renewed when a third of it has passed, so that one renewal may fail. */
const renewals = 3;
const firstFinishPauseMs = 250;
const maxFinishPauseMs = 10_000;
/** For errors of the statement, which no patience mends. */
const maxFinishFaults = 5;
/** An attempt that met a fault of the machine is not counted; a job that meets one for so long is. */
const uncountedForMs = 24 * 3600_000;
const shortestRestMs = 1_000;
const maxRestMs = 300_000;
const longestLog = 20_000;
const maxBufferedLines = 2_000;
const maxResultBytes = 1024 ** 2;

/** Runs a job that was claimed: `row` is what the claim returned. */
export function createExecution(
  options: ExecutionOptions,
  kind: JobKind,
  row: JobRow,
  lease: Lease,
): Execution {
  const { jobs, clock, leaseMs } = options;
  const logger = options.logger.child({ jobId: row.id, kind: row.kind, attempt: row.attempt });
  const controller = new AbortController();
  const record = createRecord(row, clock);
  const startedMs = clock();
  const timeoutMs = kind.timeoutMs ?? defaultTimeoutMs;
  let leaseUntilMs = startedMs + leaseMs;
  let beating: Promise<void> | undefined;
  let graceTimer: NodeJS.Timeout | undefined;
  let graceUntilMs = Number.POSITIVE_INFINITY;
  let stopTimer: NodeJS.Timeout | undefined;
  const stopped = new AbortController();
  let giveUp: (reason: JobInterruption) => void = () => {};
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  givenUp.catch(() => {});

  const interruption = (): JobInterruption | undefined =>
    controller.signal.aborted ? (controller.signal.reason as JobInterruption) : undefined;

  function interrupt(why: InterruptionKind, message: string, graceMs = defaultGraceMs): void {
    if (why === "stopping") stopTimer ??= setTimeout(() => stopped.abort(), graceMs);
    const reason = interruption() ?? new JobInterruption(why, message);
    if (performance.now() + graceMs < graceUntilMs) {
      graceUntilMs = performance.now() + graceMs;
      clearTimeout(graceTimer);
      graceTimer = setTimeout(() => giveUp(reason), graceMs);
    }
    controller.abort(reason);
  }

  function beat(): void {
    const nowMs = clock();
    if (nowMs - startedMs >= timeoutMs) {
      interrupt("timeout", `It was not done within ${timeoutMs / 1000} s, the limit of ${row.kind}.`);
    }
    if (beating !== undefined) return;
    const renewalDue = leaseUntilMs - nowMs <= leaseMs - leaseMs / renewals;
    if (!renewalDue && !record.changed()) return;
    beating = renew(nowMs).finally(() => {
      beating = undefined;
    });
  }

  async function renew(nowMs: number): Promise<void> {
    const report = record.take();
    try {
      const held = await jobs.store.heartbeat(lease, nowMs + leaseMs, report);
      if (held === null) {
        interrupt("lease_lost", "Another worker has taken this job over.", 0);
        return;
      }
      leaseUntilMs = nowMs + leaseMs;
      if (held.cancelReason !== null) interrupt("cancelled", held.cancelReason);
      else await jobs.actorOf(row);
    } catch (error) {
      if (isKetlineError(error, "forbidden")) {
        interrupt("cancelled", error.message);
        return;
      }
      record.putBack(report);
      logger.warn({ err: error }, "a heartbeat could not be written");
      if (clock() >= leaseUntilMs) interrupt("lease_lost", "The lease could not be renewed in time.", 0);
    }
  }

  async function run(): Promise<Ending> {
    try {
      const result = await Promise.race([givenUp, work()]);
      const encoded = JSON.stringify(result ?? null);
      const sizeBytes = Buffer.byteLength(encoded);
      if (sizeBytes <= maxResultBytes) return { state: "succeeded", result: encoded };
      return { state: "failed", error: `Its result has ${sizeBytes} bytes; large results belong in a blob.` };
    } catch (error) {
      return endingOf(error);
    }
  }

  async function work(): Promise<unknown> {
    const spec = kind.spec.safeParse(JSON.parse(row.spec));
    if (!spec.success) throw new UnreadableSpec(row.kind, spec.error);
    return kind.run({
      jobId: row.id,
      spec: spec.data,
      attempt: row.attempt,
      isEndedBy,
      actor: await jobs.actorOf(row),
      actorNow: () => jobs.actorOf(row),
      signal: controller.signal,
      log: record.log,
      progress: record.progress,
    });
  }

  function doesNotCount(error: unknown): boolean {
    return isMachinesFault(error) && clock() - (row.started_ms ?? startedMs) < uncountedForMs;
  }

  function isEndedBy(error: unknown): boolean {
    if (error instanceof UnreadableSpec || isFinal(error)) return true;
    return row.attempt >= row.max_attempts && !doesNotCount(error);
  }

  /** Work that was interrupted fails in ways of its own: the reason of the interruption is what counts. */
  function endingOf(error: unknown): Ending {
    const interrupted = interruption();
    if (interrupted?.why === "cancelled") return { state: "cancelled", error: clip(interrupted.message) };
    if (interrupted !== undefined && interrupted.why !== "timeout") {
      return { state: "queued", error: null, dueMs: clock(), countAttempt: false };
    }
    const cause = interrupted ?? error;
    const message = clip(redactText(cause instanceof Error ? cause.message : String(cause)));
    if (doesNotCount(cause)) {
      // It rests as long as it worked, so that a fault that stays costs half of the time at most.
      const askedMs = 1000 * (isKetlineError(cause) ? (cause.details.retryAfterSeconds ?? 0) : 0);
      const restMs = Math.min(maxRestMs, Math.max(shortestRestMs, askedMs, clock() - startedMs));
      record.log(`Attempt ${row.attempt} met a fault that is not its own, and does not count: ${message}`);
      logger.info({ err: cause, restMs }, "an attempt met a fault of the machine");
      return { state: "queued", error: message, dueMs: clock() + restMs, countAttempt: false };
    }
    if (isEndedBy(cause)) {
      logger.warn({ err: cause }, "job failed");
      return { state: "failed", error: message };
    }
    const delayMs = backoffMs(row.attempt);
    record.log(`Attempt ${row.attempt} failed: ${message} Trying again in ${delayMs / 1000} s.`);
    logger.info({ err: cause, delayMs }, "attempt failed");
    return { state: "queued", error: message, dueMs: clock() + delayMs, countAttempt: true };
  }

  /**
   * Hours of work should not be lost to a database that is away: this goes on until the end is written, somebody else
   * has the job, or the process stops. The lease may run out meanwhile; it counts until another one is given.
   */
  async function finish(report: Report, ending: Ending): Promise<JobRow | null> {
    let unanswered: { readonly atMs: number } | undefined;
    let faults = 0;
    for (let pauseMs = firstFinishPauseMs; ; pauseMs = Math.min(2 * pauseMs, maxFinishPauseMs)) {
      const atMs = clock();
      try {
        if (ending.state === "failed" || ending.state === "cancelled") {
          await jobs.putRight(row, ending.error);
        }
        const written = await jobs.store.finish(lease, atMs, report, ending);
        if (written !== null || unanswered === undefined) return written;
        return await writtenBefore(ending, unanswered.atMs);
      } catch (error) {
        if (error instanceof UncertainChange) unanswered = { atMs };
        if (!isKetlineError(error)) faults++;
        if (stopped.signal.aborted || faults === maxFinishFaults) throw error;
        logger.warn({ err: error, pauseMs }, "the end of a job could not be written; trying again");
      }
      if ((await keepLease()) === "lost" && unanswered === undefined) return null;
      await options.pause(pauseMs, stopped.signal);
    }
  }

  /** Where the database is there and only the end is too much for it, such as on a full disk. */
  async function keepLease(): Promise<"kept" | "lost" | "unknown"> {
    const nothingNew: Report = { ...record.take(), lines: [] };
    try {
      const held = await jobs.store.heartbeat(lease, clock() + leaseMs, nothingNew);
      return held === null ? "lost" : "kept";
    } catch {
      return "unknown"; // told by the next try
    }
  }

  /** A commit whose answer was lost may have been made: then the lease is gone, and the row as it was to become. */
  async function writtenBefore(ending: Ending, atMs: number): Promise<JobRow | null> {
    const now = await jobs.store.get(row.id);
    if (now === undefined) return null;
    const isOurs = ending.state === "queued" ? now.woken_ms === atMs : now.ended_ms === atMs;
    return isOurs && now.state !== "running" ? now : null;
  }

  async function execute(span: Span): Promise<void> {
    const stopBeating = options.everySecond(beat);
    let ending: Ending;
    try {
      ending = await run();
    } finally {
      stopBeating();
      clearTimeout(graceTimer);
    }
    await beating;
    span.setAttribute("ketline.job.state", ending.state);
    if (ending.state === "failed") failSpan(span, ending.error);
    const ended = await finish(record.take(), ending).finally(() => clearTimeout(stopTimer));
    if (ended === null) {
      logger.warn("the end of the job was not written: another worker has taken it over");
      return;
    }
    if (ended.state === "queued") await jobs.wake(ended.id, ended.due_ms - clock());
    else jobs.ended(ended);
  }

  const attributes = {
    "ketline.job.id": row.id,
    "ketline.job.kind": row.kind,
    "ketline.job.attempt": row.attempt,
  };
  const parent = JSON.parse(row.trace) as Record<string, string>;
  return { done: inSpan(`job ${row.kind}`, { kind: "consumer", attributes, parent }, execute), interrupt };
}

class UnreadableSpec extends Error {
  constructor(kind: string, cause: Error) {
    super(`Its spec is not one that this version of ${kind} reads: ${cause.message}`, { cause });
  }
}

/** 5 s, 20 s, 80 s … up to 10 minutes. */
export function backoffMs(attempt: number): number {
  return Math.min(5_000 * 4 ** (attempt - 1), 600_000);
}

/** Collects progress and log lines between heartbeats. */
function createRecord(row: JobRow, clock: Clock) {
  let progress = 0;
  let progressMessage: string | null = null;
  let changed = false;
  let lines: JobLogRow[] = [];
  let lineNumber = row.log_count;

  function push(line: string): void {
    lineNumber++;
    lines.push({ job_id: row.id, line_number: lineNumber, attempt: row.attempt, at_ms: clock(), line });
  }

  function log(text: string): void {
    for (const line of text.split("\n")) {
      if (lineNumber >= longestLog || lines.length > maxBufferedLines) return;
      if (lineNumber === longestLog - 1) push("… further lines are not kept");
      else if (lines.length === maxBufferedLines) push("… lines are left out here: too many came at once");
      else push(clip(redactText(line)));
    }
  }

  return {
    log,
    progress(done: number, message?: string): void {
      progress = Number.isFinite(done) ? Math.min(1, Math.max(0, done)) : progress;
      if (message !== undefined) progressMessage = clip(message, 500);
      changed = true;
    },
    changed: () => changed || lines.length > 0,
    take(): Report {
      const report = { progress, progressMessage, lines };
      lines = [];
      changed = false;
      return report;
    },
    putBack(report: Report): void {
      lines = [...report.lines, ...lines];
      changed = true;
    },
  };
}

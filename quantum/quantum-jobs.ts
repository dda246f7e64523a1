import type { Logger } from "pino";
import type { BlobStore } from "../shared/blobs/index.ts";
import type { Clock } from "../shared/clock.ts";
import { conflict, invalid, isKetlineError, notFound } from "../shared/errors.ts";
import { type Actor, systemActor } from "../shared/identity/actor.ts";
import type { Job, JobKind, Jobs } from "../shared/jobs/index.ts";
import type { Events } from "../shared/telemetry/index.ts";
import {
  conclude,
  expectationOfSubmission,
  type QuantumTracking,
  readHistogram,
  WorkspaceCancelled,
} from "./conclusion.ts";
import type { Histogram } from "./histogram.ts";
import { openJournal } from "./journal.ts";
import { programOf } from "./program.ts";
import { newRecord } from "./run.ts";
import type { QuantumJob, SubmitBody } from "./schemas.ts";
import { endedStatuses, type JobQuery, type QuantumRecord, type QuantumStore } from "./store.ts";
import { hasEnded, type QuantumWorkspace } from "./workspaces/workspace.ts";

/** Quantum jobs as the API sees them. */
export interface QuantumJobs {
  /** @throws invalid when program, target and expectation cannot go together */
  submit(submission: SubmitBody, actor: Actor): Promise<Job>;
  get(id: string): Promise<QuantumRecord>;
  list(query: JobQuery): Promise<readonly QuantumRecord[]>;
  histogram(id: string): Promise<{ readonly record: QuantumRecord; readonly histogram: Histogram }>;
  cancel(id: string, actor: Actor, reason?: string): Promise<QuantumRecord>;
  /** Concludes what workspaces have run meanwhile, and puts right what was left behind. */
  follow(): Promise<void>;
}

export interface QuantumJobsOptions {
  readonly store: QuantumStore;
  readonly jobs: Jobs;
  readonly kind: JobKind<SubmitBody, QuantumJob>;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: Pick<Events, "quantumJobEnded">;
  readonly tracking: QuantumTracking | undefined;
  readonly workspaceOf: (target: string) => QuantumWorkspace;
}

const followLimitMs = 60_000;
const pageSize = 100;

export function createQuantumJobs(options: QuantumJobsOptions): QuantumJobs {
  const { store, jobs, kind, blobs, clock, logger, events, workspaceOf } = options;

  async function find(id: string): Promise<QuantumRecord> {
    const record = await store.get(id);
    if (record === undefined) throw notFound(`There is no quantum job "${id}".`);
    return record;
  }

  /** Brings a record that is still open in line with its job and its workspace. */
  async function settle(record: QuantumRecord, signal: AbortSignal): Promise<QuantumRecord> {
    if (hasStopped(record)) return record;
    const job = await jobs.get(record.id);
    const journal = openJournal(record, { store, clock, events, log: () => {} });
    if (job.state === "cancelled" || job.state === "failed") return journal.end(job.state, job.error);
    if (job.state !== "succeeded" || record.outcome.workspaceJob === null) return record;
    const workspace = workspaceOf(record.submission.target);
    const found = await workspace.job(record.id, signal);
    if (!hasEnded(found.status)) {
      if (found.status === "Executing") await journal.status("executing");
      return record;
    }
    try {
      await conclude(journal, workspace, found, { ...options, actor: systemActor("quantum-follow"), signal });
      return await journal.end("succeeded", null);
    } catch (error) {
      if (error instanceof WorkspaceCancelled) return journal.end("cancelled", error.message);
      if (isKetlineError(error) && error.kind !== "unavailable" && error.kind !== "timeout") {
        return journal.end("failed", error.message);
      }
      throw error; // the next round tries again
    }
  }

  return {
    async submit(submission, actor) {
      programOf(submission);
      expectationOfSubmission(submission);
      const workspace = workspaceOf(submission.target);
      if (submission.noise !== undefined && submission.target !== "ketline.simulator.noisy") {
        throw invalid(`noise is for ketline.simulator.noisy; ${submission.target} has its own or none.`, {
          field: "noise",
        });
      }
      const { idempotencyKey } = submission;
      const job = await jobs.submit(kind, submission, {
        actor,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      });
      await store.insert(newRecord(job.id, submission, workspace.name, actor.name, job.createdMs));
      return job;
    },

    get: find,
    list: (query) => store.list(query),

    async histogram(id) {
      const record = await find(id);
      return { record, histogram: await readHistogram(blobs, record) };
    },

    async cancel(id, actor, reason) {
      const record = await find(id);
      if (hasStopped(record)) {
        if (record.status === "cancelled") return record;
        throw conflict(
          `The quantum job ${id} has ${record.status === "refused" ? "been refused" : record.status} already.`,
        );
      }
      const signal = AbortSignal.timeout(followLimitMs);
      const { state } = await jobs.get(id);
      if (state === "queued" || state === "running") await jobs.cancel(id, actor, reason);
      else if (record.outcome.workspaceJob !== null)
        await workspaceOf(record.submission.target).cancel(id, signal);
      return settle(await find(id), signal);
    },

    async follow() {
      const signal = AbortSignal.timeout(followLimitMs);
      for (const status of ["queued", "preparing", "submitted", "executing"] as const) {
        let after: JobQuery["after"];
        for (;;) {
          const page = await store.list({ status, after, limit: pageSize });
          for (const record of page) {
            if (signal.aborted) return;
            await settle(record, signal).catch((error: unknown) => {
              logger.warn({ quantumJob: record.id, err: error }, "a quantum job could not be followed");
            });
          }
          const last = page.at(-1);
          if (last === undefined || page.length < pageSize) break;
          after = { createdMs: last.createdMs, id: last.id };
        }
      }
    },
  };
}

function hasStopped({ status }: QuantumRecord): boolean {
  return endedStatuses.some((ended) => ended === status);
}

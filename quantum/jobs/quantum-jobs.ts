import type { Logger } from "pino";
import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import { conflict, invalid, isKetlineError, notFound } from "../../shared/errors.ts";
import { type Actor, systemActor } from "../../shared/identity/index.ts";
import type { Job, JobKind, Jobs } from "../../shared/jobs/index.ts";
import type { Events } from "../../shared/telemetry/index.ts";
import { programOf } from "../programs/program.ts";
import type { Histogram } from "../results/histogram.ts";
import type { QuantumJob, SubmitBody } from "../schemas.ts";
import { hasEnded, type QuantumWorkspace } from "../workspaces/workspace.ts";
import {
  expectationOfSubmission,
  finish,
  type QuantumTracking,
  readHistogram,
  WorkspaceCancelled,
} from "./finish.ts";
import { openRecord } from "./record.ts";
import { newRecord } from "./run.ts";
import { endedStatuses, type JobQuery, type QuantumRecord, type QuantumStore } from "./store.ts";

/** Quantum jobs as the API sees them. */
export interface QuantumJobs {
  /** @throws invalid when program, target and expectation cannot go together */
  submit(submission: SubmitBody, actor: Actor): Promise<Job>;
  get(id: string): Promise<QuantumRecord>;
  list(query: JobQuery): Promise<readonly QuantumRecord[]>;
  histogram(id: string): Promise<{ readonly record: QuantumRecord; readonly histogram: Histogram }>;
  cancel(id: string, actor: Actor, reason?: string): Promise<QuantumRecord>;
  /** Finishes what workspaces have run meanwhile, and puts right what was left behind. */
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
    const stored = await store.get(id);
    if (stored === undefined) throw notFound(`There is no quantum job "${id}".`);
    return stored;
  }

  /** Brings a record that is still open in line with its job and its workspace. */
  async function settle(stored: QuantumRecord, signal: AbortSignal): Promise<QuantumRecord> {
    if (hasStopped(stored)) return stored;
    const job = await jobs.get(stored.id);
    const record = openRecord(stored, { store, clock, events, log: () => {} });
    if (job.state === "cancelled" || job.state === "failed") return record.end(job.state, job.error);
    if (job.state !== "succeeded" || stored.outcome.workspaceJob === null) return stored;
    const workspace = workspaceOf(stored.submission.target);
    const found = await workspace.job(stored.id, signal);
    if (!hasEnded(found.status)) {
      if (found.status === "Executing") await record.status("executing");
      return stored;
    }
    try {
      await finish(record, workspace, found, { ...options, actor: systemActor("quantum-follow"), signal });
      return await record.end("succeeded", null);
    } catch (error) {
      if (error instanceof WorkspaceCancelled) return record.end("cancelled", error.message);
      if (isKetlineError(error) && error.kind !== "unavailable" && error.kind !== "timeout") {
        return record.end("failed", error.message);
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
      return jobs.submit(kind, submission, {
        actor,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        alongside: (transaction, job) =>
          store.insert(newRecord(job.id, submission, workspace.name, actor.name, job.createdMs), transaction),
      });
    },

    get: find,
    list: (query) => store.list(query),

    async histogram(id) {
      const stored = await find(id);
      return { record: stored, histogram: await readHistogram(blobs, stored) };
    },

    async cancel(id, actor, reason) {
      const stored = await find(id);
      if (hasStopped(stored)) {
        if (stored.status === "cancelled") return stored;
        throw conflict(
          `The quantum job ${id} has ${stored.status === "refused" ? "been refused" : stored.status} already.`,
        );
      }
      const signal = AbortSignal.timeout(followLimitMs);
      const { state } = await jobs.get(id);
      if (state === "queued" || state === "running") await jobs.cancel(id, actor, reason);
      else if (stored.outcome.workspaceJob !== null)
        await workspaceOf(stored.submission.target).cancel(id, signal);
      return settle(await find(id), signal);
    },

    async follow() {
      const signal = AbortSignal.timeout(followLimitMs);
      for (const status of ["queued", "preparing", "submitted", "executing"] as const) {
        let after: JobQuery["after"];
        for (;;) {
          const page = await store.list({ status, after, limit: pageSize });
          for (const stored of page) {
            if (signal.aborted) return;
            await settle(stored, signal).catch((error: unknown) => {
              logger.warn({ quantumJob: stored.id, err: error }, "a quantum job could not be followed");
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

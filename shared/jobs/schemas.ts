import { z } from "zod";
import { pageOf, pageQuery } from "../http/index.ts";
import { redactValue } from "../telemetry/index.ts";
import type { Job } from "./job.ts";

export const jobStates = ["queued", "running", "succeeded", "failed", "cancelled"] as const;

/** A job on the wire, as every route that starts one answers it. */
export const JobSchema = z
  .object({
    id: z.string(),
    kind: z.string().describe("What it does, e.g. `training.fit`"),
    state: z.enum(jobStates),
    spec: z.unknown().describe("What was asked for; its shape is the kind's"),
    result: z.unknown().describe("What came out; null until it succeeded"),
    error: z.string().nullable().describe("Why it failed or was cancelled, or why its last attempt failed"),
    attempt: z.int(),
    maxAttempts: z.int(),
    progress: z.number().min(0).max(1),
    progressMessage: z.string().nullable(),
    idempotencyKey: z.string().nullable(),
    createdBy: z.string(),
    createdMs: z.int(),
    startedMs: z.int().nullable(),
    endedMs: z.int().nullable(),
  })
  .meta({ title: "Job" });

/** A job as people see it: its spec may hold a credential for somewhere else, which is not theirs to read. */
export function shownJob(job: Job): Job {
  return { ...job, spec: redactValue(job.spec) };
}

export const JobPage = pageOf(JobSchema);

export const JobParams = z.object({ id: z.string().min(1).max(100) });

export const JobsQuery = z.object({
  ...pageQuery,
  kind: z.string().min(1).max(100).optional(),
  state: z.enum(jobStates).optional(),
});

export const LogsQuery = z.object(pageQuery);

export const LogPage = pageOf(
  z.object({
    line: z.int().describe("Counts from 1"),
    attempt: z.int(),
    atMs: z.int(),
    text: z.string(),
  }),
).extend({
  resumeCursor: z.string().describe("Where to read on later, while the job still runs"),
});

export const CancelBody = z.object({ reason: z.string().min(1).max(500).optional() }).optional();

export const JobPosition = z.object({ createdMs: z.int(), id: z.string() });
export const LogPosition = z.object({ line: z.int().min(0) });

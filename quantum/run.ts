import type { BlobStore } from "../shared/blobs/index.ts";
import type { Clock } from "../shared/clock.ts";
import { conflict, type ErrorKind, isKetlineError, notFound, unsupported } from "../shared/errors.ts";
import { JobInterruption } from "../shared/jobs/execution.ts";
import type { JobContext, JobKind } from "../shared/jobs/index.ts";
import type { Events } from "../shared/telemetry/index.ts";
import { conclude, type QuantumTracking, WorkspaceCancelled, workspaceJobNote } from "./conclusion.ts";
import { type Examined, examine, GateRefusal } from "./findings.ts";
import { emptyOutcome, type Journal, openJournal } from "./journal.ts";
import { type Program, programOf } from "./program.ts";
import { type QuantumJob, SubmitBody } from "./schemas.ts";
import type { Simulator } from "./simulator/simulator.ts";
import { endedStatuses, type QuantumRecord, type QuantumStore, quantumJob } from "./store.ts";
import { programFormat } from "./workspaces/inputs.ts";
import {
  hasEnded,
  type NewWorkspaceJob,
  type QuantumWorkspace,
  type WorkspaceJob,
  type WorkspaceTarget,
} from "./workspaces/workspace.ts";

export interface RunOptions {
  readonly store: QuantumStore;
  readonly simulator: Simulator;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly events: Pick<Events, "quantumJobEnded">;
  readonly tracking: QuantumTracking | undefined;
  /** The workspace that has a target. @throws invalid when none has */
  readonly workspaceOf: (target: string) => QuantumWorkspace;
  /** How long the job follows one of Azure before the timer takes over: queues there last hours. */
  readonly followMs: number;
}

const maxAttempts = 3;
/** The progress of a job when its workspace takes over. */
const beforeRun = 0.4;
/** Errors that the same submission would meet again. */
const final: ReadonlySet<ErrorKind> = new Set([
  "invalid",
  "not_found",
  "conflict",
  "forbidden",
  "unauthenticated",
  "unsupported",
  "too_large",
]);

/**
 * The life of a quantum job: compile, test, estimate, price, gates, submit, run, judge, log. Each step is written to the
 * job's record and log. An attempt after a crash goes on with the workspace's job where one was submitted.
 */
export function runKind(options: RunOptions): JobKind<SubmitBody, QuantumJob> {
  const { store, simulator, clock, events, workspaceOf } = options;

  async function begin({ jobId, spec, actor }: JobContext<SubmitBody>): Promise<QuantumRecord> {
    await store.insert(newRecord(jobId, spec, workspaceOf(spec.target).name, actor.name, clock()));
    const record = await store.get(jobId);
    if (record === undefined) throw notFound(`The quantum job "${jobId}" was deleted.`);
    return record;
  }

  async function submit(
    journal: Journal,
    workspace: QuantumWorkspace,
    { signal }: JobContext<SubmitBody>,
  ): Promise<void> {
    const { submission } = journal.record;
    const program = programOf(submission);
    const target = await targetOf(workspace, submission.target, signal);
    await journal.status("preparing");
    const examined = await examine(journal, program, target, simulator, { signal });
    await journal.step("submit", async () => {
      const job = await submitOnce(workspace, newJob(journal.record, program, examined, target), signal);
      journal.note({ workspaceJob: workspaceJobNote(job) });
      return `Submitted to ${target.id} as ${job.id}.`;
    });
    await journal.status("submitted");
  }

  async function follow(
    journal: Journal,
    workspace: QuantumWorkspace,
    context: JobContext<SubmitBody>,
  ): Promise<WorkspaceJob> {
    const { signal, log, progress } = context;
    return workspace.follow(journal.record.id, {
      signal,
      forMs: workspace.kind === "local" ? Number.POSITIVE_INFINITY : options.followMs,
      onStatus: async (job) => {
        log(`workspace: ${job.status}`);
        if (job.status === "Executing") await journal.status("executing");
      },
      onProgress: (done) => progress(beforeRun + (0.95 - beforeRun) * done, "running"),
    });
  }

  return {
    kind: "quantum.run",
    spec: SubmitBody,
    role: "contributor",
    maxAttempts,
    async run(context) {
      const record = await begin(context);
      if (record.status === "succeeded") return quantumJob(record);
      if (endedStatuses.some((status) => status === record.status)) {
        throw conflict(`The quantum job has ended: ${record.error ?? record.status} Submit it anew.`);
      }
      const journal = openJournal(record, { store, clock, events, log: context.log });
      const workspace = workspaceOf(record.submission.target);
      try {
        if (record.outcome.workspaceJob === null) await submit(journal, workspace, context);
        context.progress(beforeRun, "submitted");
        const job = await follow(journal, workspace, context);
        if (!hasEnded(job.status)) {
          context.log("The workspace has not run it yet; it is looked after from here on.");
          return quantumJob((await store.get(record.id)) ?? record);
        }
        await conclude(journal, workspace, job, { ...options, actor: context.actor, signal: context.signal });
        return quantumJob(await journal.end("succeeded", null));
      } catch (error) {
        await endWith(journal, workspace, error, context);
        throw error instanceof GateRefusal || error instanceof WorkspaceCancelled
          ? conflict(error.message, { cause: error })
          : error;
      }
    },
  };
}

export function newRecord(
  id: string,
  submission: SubmitBody,
  workspace: string,
  createdBy: string,
  createdMs: number,
): QuantumRecord {
  return {
    id,
    status: "queued",
    workspace,
    submission,
    outcome: emptyOutcome,
    error: null,
    createdBy,
    createdMs,
    updatedMs: createdMs,
    endedMs: null,
  };
}

/** Writes how a failed attempt leaves the job, where no other attempt follows. */
async function endWith(
  journal: Journal,
  workspace: QuantumWorkspace,
  error: unknown,
  { signal, attempt, log }: JobContext<SubmitBody>,
): Promise<void> {
  const message = error instanceof Error ? error.message : String(error);
  const interruption: unknown = signal.aborted ? signal.reason : undefined;
  if (interruption instanceof JobInterruption) {
    if (interruption.why === "stopping" || interruption.why === "lease_lost") return;
    // Our time is up, or somebody cancelled: the workspace must not run on and bill for nothing.
    if (journal.outcome().workspaceJob !== null) {
      await workspace.cancel(journal.record.id, AbortSignal.timeout(cancelMs)).catch((fault: unknown) => {
        log(`workspace: not cancelled: ${fault instanceof Error ? fault.message : String(fault)}`);
      });
    }
    await journal.end(interruption.why === "cancelled" ? "cancelled" : "failed", interruption.message);
    return;
  }
  if (error instanceof GateRefusal) await journal.end("refused", message);
  else if (error instanceof WorkspaceCancelled) await journal.end("cancelled", message);
  else if (attempt >= maxAttempts || (isKetlineError(error) && final.has(error.kind))) {
    await journal.end("failed", message);
  }
}

const cancelMs = 30_000;

async function targetOf(
  workspace: QuantumWorkspace,
  id: string,
  signal: AbortSignal,
): Promise<WorkspaceTarget> {
  const targets = await workspace.targets(signal);
  const target = targets.find((one) => one.id === id);
  if (target !== undefined) return target;
  const known = targets.map((one) => one.id).join(", ");
  throw notFound(`The workspace ${workspace.name} has no target "${id}"; it has ${known || "none"}.`);
}

/** An attempt before this one may have submitted it and not lived to write that down. */
async function submitOnce(
  workspace: QuantumWorkspace,
  job: NewWorkspaceJob,
  signal: AbortSignal,
): Promise<WorkspaceJob> {
  try {
    return await workspace.job(job.id, signal);
  } catch (error) {
    if (!isKetlineError(error, "not_found")) throw error;
    return workspace.submit(job, signal);
  }
}

const outputFormat = "microsoft.quantum-results.v2";

function newJob(
  record: QuantumRecord,
  program: Program,
  { qir }: Examined,
  target: WorkspaceTarget,
): NewWorkspaceJob {
  const { submission, id } = record;
  const shared = {
    id,
    name: submission.name === "" ? id : submission.name,
    target: target.id,
    providerId: target.providerId,
    outputFormat,
    metadata: { "ketline.job": id },
    tags: submission.tags,
  };
  if (qir === null && target.profile === "unrestricted") {
    const inputParams = {
      shots: submission.shots,
      ...(submission.noise === undefined ? {} : { noise: submission.noise }),
    };
    const input = { format: programFormat, contentType: "application/json", text: JSON.stringify(program) };
    return { ...shared, input, inputParams };
  }
  if (qir === null) throw unsupported(`${target.id} takes no QIR; other formats are not made here.`);
  return {
    ...shared,
    input: { format: "qir.v1", contentType: "qir.v1", text: qir.text },
    inputParams: {
      entryPoint: entryPointOf(qir.text),
      arguments: [],
      shots: submission.shots,
      target_profile: qir.profile,
    },
  };
}

function entryPointOf(qir: string): string {
  return /^define\s.*?@(ENTRYPOINT__\w+)/m.exec(qir)?.[1] ?? "ENTRYPOINT__main";
}

import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import { conflict, isKetlineError, notFound, unsupported } from "../../shared/errors.ts";
import type { JobContext, JobKind } from "../../shared/jobs/index.ts";
import { JobInterruption } from "../../shared/jobs/index.ts";
import type { Events } from "../../shared/telemetry/index.ts";
import { type Program, programOf } from "../programs/program.ts";
import { type QuantumJob, SubmitBody } from "../schemas.ts";
import type { Simulator } from "../simulator/simulator.ts";
import { programFormat } from "../workspaces/inputs.ts";
import {
  hasEnded,
  type NewWorkspaceJob,
  type QuantumWorkspace,
  type WorkspaceJob,
  type WorkspaceTarget,
} from "../workspaces/workspace.ts";
import { type Examined, examine, GateRefusal } from "./findings.ts";
import { failOwnRun, finish, type QuantumTracking, WorkspaceCancelled, workspaceJobNote } from "./finish.ts";
import { emptyOutcome, type JobRecord, openRecord } from "./record.ts";
import { endedStatuses, type QuantumRecord, type QuantumStore, quantumJob } from "./store.ts";

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
/**
 * The life of a quantum job: compile, test, estimate, price, gates, submit, run, judge, log. Each step is written to the
 * job's record and log. An attempt after a crash goes on with the workspace's job where one was submitted.
 */
export function runKind(options: RunOptions): JobKind<SubmitBody, QuantumJob> {
  const { store, simulator, clock, events, workspaceOf } = options;

  async function begin({ jobId }: JobContext<SubmitBody>): Promise<QuantumRecord> {
    const stored = await store.get(jobId);
    if (stored === undefined) throw notFound(`The quantum job "${jobId}" was deleted.`);
    return stored;
  }

  async function submit(
    record: JobRecord,
    workspace: QuantumWorkspace,
    { signal, actorNow }: JobContext<SubmitBody>,
  ): Promise<void> {
    const { submission } = record.stored;
    const program = programOf(submission);
    const target = await targetOf(workspace, submission.target, signal);
    await record.status("preparing");
    const examined = await examine(record, program, target, simulator, { signal });
    await record.step("submit", async () => {
      // Hardware costs money: tests and estimates may have taken long.
      await actorNow();
      const job = await submitOnce(workspace, newJob(record.stored, program, examined, target), signal);
      record.note({ workspaceJob: workspaceJobNote(job) });
      return `Submitted to ${target.id} as ${job.id}.`;
    });
    await record.status("submitted");
  }

  async function follow(
    record: JobRecord,
    workspace: QuantumWorkspace,
    context: JobContext<SubmitBody>,
  ): Promise<WorkspaceJob> {
    const { signal, log, progress } = context;
    return workspace.follow(record.stored.id, {
      signal,
      forMs: workspace.kind === "local" ? Number.POSITIVE_INFINITY : options.followMs,
      onStatus: async (job) => {
        log(`workspace: ${job.status}`);
        if (job.status === "Executing") await record.status("executing");
      },
      onProgress: (done) => progress(beforeRun + (0.95 - beforeRun) * done, "running"),
    });
  }

  return {
    kind: "quantum.run",
    spec: SubmitBody,
    role: "contributor",
    maxAttempts,
    async putRight({ jobId, reason }) {
      const stored = await store.get(jobId);
      if (stored === undefined) return;
      const record = openRecord(stored, { store, clock, events, log: () => {} });
      await failOwnRun(record, reason, options.tracking);
    },
    async run(context) {
      const stored = await begin(context);
      if (stored.status === "succeeded") return quantumJob(stored);
      if (endedStatuses.some((status) => status === stored.status)) {
        throw conflict(`The quantum job has ended: ${stored.error ?? stored.status} Submit it anew.`);
      }
      const record = openRecord(stored, { store, clock, events, log: context.log });
      const workspace = workspaceOf(stored.submission.target);
      try {
        if (stored.outcome.workspaceJob === null) await submit(record, workspace, context);
        context.progress(beforeRun, "submitted");
        const job = await follow(record, workspace, context);
        if (!hasEnded(job.status)) {
          context.log("The workspace has not run it yet; it is looked after from here on.");
          return quantumJob((await store.get(stored.id)) ?? stored);
        }
        await finish(record, workspace, job, { ...options, actor: context.actor, signal: context.signal });
        return quantumJob(await record.end("succeeded", null));
      } catch (error) {
        await endWith(record, workspace, error, context);
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
  record: JobRecord,
  workspace: QuantumWorkspace,
  error: unknown,
  { signal, isEndedBy, log }: JobContext<SubmitBody>,
): Promise<void> {
  const message = error instanceof Error ? error.message : String(error);
  const interruption: unknown = signal.aborted ? signal.reason : undefined;
  if (interruption instanceof JobInterruption) {
    if (interruption.why === "stopping" || interruption.why === "lease_lost") return;
    // Our time is up, or somebody cancelled: the workspace must not run on and bill for nothing.
    if (record.outcome().workspaceJob !== null) {
      await workspace.cancel(record.stored.id, AbortSignal.timeout(cancelMs)).catch((fault: unknown) => {
        log(`workspace: not cancelled: ${fault instanceof Error ? fault.message : String(fault)}`);
      });
    }
    await record.end(interruption.why === "cancelled" ? "cancelled" : "failed", interruption.message);
    return;
  }
  if (error instanceof GateRefusal) await record.end("refused", message);
  else if (error instanceof WorkspaceCancelled) await record.end("cancelled", message);
  else if (isEndedBy(error)) await record.end("failed", message);
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
  stored: QuantumRecord,
  program: Program,
  { qir }: Examined,
  target: WorkspaceTarget,
): NewWorkspaceJob {
  const { submission, id } = stored;
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

import { randomUUID } from "node:crypto";
import type { Tracking } from "../../models/tracking/index.ts";
import type { BlobStore } from "../../shared/blobs/index.ts";
import { conflict, notFound } from "../../shared/errors.ts";
import type { Actor } from "../../shared/identity/index.ts";
import { type Histogram, maxFrequent } from "../results/histogram.ts";
import { histogramPicture } from "../results/histogram-picture.ts";
import { histogramOfResults } from "../results/results.ts";
import { type Expectation, expectationOf, judge, uniformExpectation } from "../results/verdict.ts";
import type { Outcome, SubmitBody } from "../schemas.ts";
import { hasSucceeded, type QuantumWorkspace, type WorkspaceJob } from "../workspaces/workspace.ts";
import type { JobRecord } from "./record.ts";
import type { QuantumRecord } from "./store.ts";

/** What quantum asks of the tracking of runs. */
export type QuantumTracking = Pick<
  Tracking,
  "ensureExperiment" | "createRun" | "logBatch" | "putArtifact" | "endRun" | "failRun"
>;

export interface FinishOptions {
  readonly blobs: BlobStore;
  readonly tracking: QuantumTracking | undefined;
  readonly actor: Actor;
  readonly signal: AbortSignal;
}

/** How many outcomes the job itself tells of; all of them are in its histogram. */
const topOutcomes = 50;

/**
 * What follows when a job of a workspace has ended: its results become a histogram, the histogram is judged, and both
 * are logged to a run where the submission asks for it.
 *
 * @throws conflict when the job did not succeed
 */
export async function finish(
  record: JobRecord,
  workspace: QuantumWorkspace,
  job: WorkspaceJob,
  options: FinishOptions,
): Promise<void> {
  const { stored } = record;
  const { submission } = stored;
  record.note({ workspaceJob: workspaceJobNote(job) });
  await record.step("run", async () => {
    if (job.status === "Cancelled") throw new WorkspaceCancelled(job.id);
    if (!hasSucceeded(job.status)) {
      throw conflict(`The workspace could not run the job: ${job.error?.message ?? job.status}`);
    }
    const { document } = await workspace.results(job.id, options.signal);
    const qubits = record.outcome().gates?.qubits;
    const histogram = histogramOfResults(document, {
      shots: submission.shots,
      ...(qubits === undefined || qubits === 0 ? {} : { qubits }),
    });
    await options.blobs.put(histogramKey(stored.id), new TextEncoder().encode(JSON.stringify(histogram)), {
      contentType: "application/json",
    });
    record.note({ histogram: { shots: histogram.shots, ...topOf(histogram) } });
    const took =
      job.startedMs === null || job.endedMs === null ? "" : ` in ${job.endedMs - job.startedMs} ms`;
    return `${histogram.shots} shots${took}, ${histogram.outcomes.length} different outcomes.`;
  });
  const histogram = await readHistogram(options.blobs, stored);
  await record.step("judge", async () => {
    const expectation = expectationOfSubmission(submission);
    if (submission.expected === undefined || expectation === undefined) {
      return { skipped: "No expectation was declared." };
    }
    const { alpha, comparisons, allowedDistance, detectDistance } = submission.expected;
    const targets = await workspace.targets(options.signal);
    const noisy = targets.find(({ id }) => id === submission.target)?.noisy ?? true;
    const verdict = judge(histogram, expectation, {
      alpha,
      comparisons,
      allowedDistance,
      detectDistance,
      noiseless: !noisy,
    });
    record.note({
      verdict: {
        ...verdict,
        reasons: [...verdict.reasons],
        impossible: verdict.impossible
          .slice(0, topOutcomes)
          .map(({ outcome, count }) => ({ outcome: shorten(outcome), count })),
      },
    });
    return `${verdict.verdict}: ${verdict.reasons.join(" ")}`;
  });
  try {
    await record.step("log", () => logToRun(record, histogram, options));
  } catch (error) {
    // The step is written down as failed, with its reason; the result stands without it.
    await failOwnRun(record, error instanceof Error ? error.message : String(error), options.tracking);
    options.signal.throwIfAborted();
  }
}

/** Ends the run that was made for the job, where it is still under way; a run that was named to log to is not ours. */
export async function failOwnRun(
  record: Pick<JobRecord, "stored" | "outcome">,
  reason: string,
  tracking: QuantumTracking | undefined,
): Promise<void> {
  const { log } = record.stored.submission;
  const { runId } = record.outcome();
  if (log !== undefined && "experiment" in log && runId !== null) await tracking?.failRun(runId, reason);
}

/** The workspace's job was cancelled, by whoever. */
export class WorkspaceCancelled extends Error {
  constructor(id: string) {
    super(`The job ${id} was cancelled in its workspace.`);
    this.name = "WorkspaceCancelled";
  }
}

/** @throws notFound before the job has a histogram */
export async function readHistogram(blobs: BlobStore, { id, status }: QuantumRecord): Promise<Histogram> {
  const found = await blobs.get(histogramKey(id));
  if (found === null) throw notFound(`The quantum job "${id}" is ${status}; it has no histogram.`);
  return (await new Response(found.stream).json()) as Histogram; // written by finish
}

/** @throws invalid when what is declared is no distribution */
export function expectationOfSubmission({ expected }: SubmitBody): Expectation | undefined {
  if (expected?.probabilities !== undefined) return expectationOf(expected.probabilities);
  return expected?.uniform === undefined ? undefined : uniformExpectation(expected.uniform);
}

export function pictureOf(stored: QuantumRecord, histogram: Histogram): string {
  const { name, target } = stored.submission;
  return histogramPicture(
    histogram,
    name === "" ? target : `${name} on ${target}`,
    expectationOfSubmission(stored.submission),
  );
}

export function workspaceJobNote(job: WorkspaceJob): NonNullable<Outcome["workspaceJob"]> {
  const { id, status, startedMs, endedMs, cost, usage } = job;
  return { id, status, startedMs, endedMs, cost, usage: { ...usage } };
}

function histogramKey(id: string): string {
  return `quantum-jobs/${id}/histogram.json`;
}

/** Outcomes of thousands of qubits belong in the histogram, not in every list of jobs. */
const longestOutcome = 1000;

function shorten(outcome: string): string {
  return outcome.length <= longestOutcome ? outcome : `${outcome.slice(0, longestOutcome)}…`;
}

function topOf(histogram: Histogram) {
  const { top, otherOutcomes, otherShots } = maxFrequent(histogram, topOutcomes);
  const shown = top.map(({ outcome, count }) => ({ outcome: shorten(outcome), count }));
  return { top: shown, otherOutcomes, otherShots };
}

async function logToRun(record: JobRecord, histogram: Histogram, { tracking, actor }: FinishOptions) {
  const { stored } = record;
  const { log, name } = stored.submission;
  if (log === undefined) return { skipped: "No run was named to log to." };
  if (tracking === undefined) return { skipped: "Runs are not tracked here." };
  let runId: string;
  if ("runId" in log) runId = log.runId;
  else {
    // Written down before it is made, so that no crash leaves a run that no job names.
    runId = record.outcome().runId ?? randomUUID().replaceAll("-", "");
    record.note({ runId });
    await record.save();
    const experimentId = await tracking.ensureExperiment(log.experiment, actor);
    await tracking.createRun({ runId, experimentId, actor, ...(name === "" ? {} : { name }) });
  }
  await tracking.logBatch(runId, batchOf(stored, record.outcome()));
  const encode = (text: string) => new TextEncoder().encode(text);
  await tracking.putArtifact(runId, "quantum/histogram.json", encode(JSON.stringify(histogram)));
  await tracking.putArtifact(runId, "quantum/histogram.svg", encode(pictureOf(stored, histogram)));
  if ("experiment" in log) await tracking.endRun(runId, "FINISHED");
  record.note({ runId });
  return `Logged to the run ${runId}.`;
}

function batchOf({ id, submission }: QuantumRecord, outcome: Outcome) {
  const { estimate, verdict, price, gates } = outcome;
  const numbers: Readonly<Record<string, number | null | undefined>> = {
    "quantum.shots": submission.shots,
    "quantum.outcomes": (outcome.histogram?.top.length ?? 0) + (outcome.histogram?.otherOutcomes ?? 0),
    "quantum.total_variation": verdict?.totalVariation.distance,
    "quantum.chi_square_p": verdict?.chiSquare?.pValue,
    "quantum.physical_qubits": estimate?.physicalQubits,
    "quantum.runtime_seconds": estimate === null ? null : estimate.runtimeNs / 1e9,
    "quantum.price": price?.amount,
    "quantum.two_qubit_gates": gates?.twoQubit,
  };
  return {
    metrics: Object.entries(numbers).flatMap(([key, value]) => (value == null ? [] : [{ key, value }])),
    params: {
      "quantum.target": submission.target,
      "quantum.language": submission.language,
      "quantum.shots": String(submission.shots),
    },
    tags: {
      "quantum.job": id,
      ...(verdict === null ? {} : { "quantum.verdict": verdict.verdict }),
    },
  };
}

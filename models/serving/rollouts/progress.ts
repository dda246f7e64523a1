import type { DeploymentRevision } from "../schemas.ts";
import { hasWaitedEnough, stayMs } from "./deadline.ts";
import { currentStep } from "./plan.ts";
import type { RolloutEvent, StepReport, Verdict } from "./schemas.ts";
import type { RolloutWriter, StoredRollout } from "./store.ts";

/** What was known of a step when it ended. */
export interface StepEnd {
  readonly state: "passed" | "failed" | "left";
  readonly requests: number | null;
  readonly verdicts: readonly Verdict[];
}

type Author = RolloutEvent["by"];

/**
 * The rollout at its next step, or at a later one.
 *
 * @param revision the one that was made for it
 */
export function atStep(
  rollout: StoredRollout,
  to: number,
  end: StepEnd,
  revision: DeploymentRevision,
): StoredRollout {
  const nowMs = revision.createdMs;
  const left = endStep(rollout, end, nowMs);
  const last = to === rollout.steps.length;
  const next = currentStep({ ...rollout, step: to });
  const begun: StepReport = {
    ...next,
    state: last ? "passed" : "current",
    revision: revision.revision,
    startedMs: nowMs,
    endedMs: last ? nowMs : null,
  };
  return {
    ...left,
    steps: left.steps.with(to - 1, begun),
    step: to,
    revision: revision.revision,
    sinceMs: nowMs,
    pausedMs: null,
    endedMs: last ? nowMs : null,
    state: last ? "completed" : "running",
    stateReason: revision.reason,
  };
}

/** The rollout after its end at the step where it is. */
export function ended(
  rollout: StoredRollout,
  state: "aborted" | "superseded",
  end: StepEnd,
  reason: string,
  nowMs: number,
): StoredRollout {
  return { ...endStep(rollout, end, nowMs), state, stateReason: reason, pausedMs: null, endedMs: nowMs };
}

/** A pause stops the clock of the step. */
export function paused(rollout: StoredRollout, reason: string, nowMs: number): StoredRollout {
  return { ...rollout, state: "paused", stateReason: reason, pausedMs: nowMs };
}

/** The clock goes on from where it stood; a step that had waited enough gets its whole wait again. */
export function resumed(rollout: StoredRollout, reason: string, nowMs: number): StoredRollout {
  const pausedMs = rollout.pausedMs ?? nowMs;
  const sinceMs = hasWaitedEnough(rollout, pausedMs)
    ? nowMs - stayMs(currentStep(rollout))
    : rollout.sinceMs + Math.max(0, nowMs - pausedMs);
  return { ...rollout, state: "running", stateReason: reason, pausedMs: null, sinceMs };
}

/** Writes a rollout that has moved, and what moved it. */
export async function writeMove(
  writer: RolloutWriter,
  rollout: StoredRollout,
  event: { readonly kind: RolloutEvent["kind"]; readonly revision: number | null; readonly by: Author } & {
    readonly reason: string;
    readonly atMs: number;
  },
): Promise<void> {
  await writer.update(rollout);
  await writer.addEvent(rollout.id, { ...event, step: rollout.step });
}

/**
 * Ends the active rollout of a deployment for which somebody else has made a revision: what they made stands. A rollback
 * aborts it, for it took back what was being rolled out; any other change supersedes it.
 */
export async function endActiveRollout(writer: RolloutWriter, revision: DeploymentRevision): Promise<void> {
  const active = await writer.active(revision.deployment);
  if (active === null) return;
  const { author, createdMs: atMs } = revision;
  const state = revision.change === "rollback" ? "aborted" : "superseded";
  const did = { create: "made", change: "changed", rollback: "rolled back", delete: "deleted" };
  const what = `The deployment was ${did[revision.change]} by ${author.name} (revision ${revision.revision})`;
  const reason = `${what}: ${revision.reason}`;
  const end: StepEnd = { state: "left", requests: null, verdicts: [] };
  await writeMove(writer, ended(active, state, end, reason, atMs), {
    kind: state,
    revision: revision.revision,
    by: author,
    reason,
    atMs,
  });
}

function endStep(rollout: StoredRollout, end: StepEnd, endedMs: number): StoredRollout {
  const current = currentStep(rollout);
  const over: StepReport = {
    ...current,
    state: end.state,
    endedMs,
    requests: end.requests,
    verdicts: [...end.verdicts],
  };
  return { ...rollout, steps: rollout.steps.with(rollout.step - 1, over) };
}

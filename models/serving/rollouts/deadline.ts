import { currentStep } from "./plan.ts";
import type { Rollout, StepReport, Verdict } from "./schemas.ts";

/** A rollout as far as the clock of its current step goes; `sinceMs` is as `StoredRollout` says. */
type Timed = Pick<Rollout, "id" | "steps" | "step"> & { readonly sinceMs: number };

/** How long a step stays at least, in ms. */
export function stayMs({ minutes }: Pick<StepReport, "minutes">): number {
  return Math.round(minutes * 60_000);
}

/** When the current step has stayed for its minutes, as the clock stands. */
export function stayEndsMs(rollout: Timed): number {
  return rollout.sinceMs + stayMs(currentStep(rollout));
}

/** When the current step stops waiting for requests, as the clock stands; null: it waits as long as it takes. */
export function deadlineMs(rollout: Timed): number | null {
  const { progressDeadlineMs } = currentStep(rollout);
  return progressDeadlineMs === null ? null : stayEndsMs(rollout) + progressDeadlineMs;
}

export function hasWaitedEnough(rollout: Timed, nowMs: number): boolean {
  const endsMs = deadlineMs(rollout);
  return endsMs !== null && nowMs >= endsMs;
}

/**
 * What a step that did not fail still needs before the next one, in sentences: how many requests came, how many it needs,
 * and what its gates wait for.
 *
 * @returns null when nothing is missing
 */
export function missingEvidence(
  step: Pick<StepReport, "weight" | "minimumRequests">,
  seen: { readonly requests: number | null; readonly verdicts: readonly Verdict[] },
): string | null {
  const came = seen.requests ?? 0;
  const waiting = seen.verdicts.filter(({ verdict }) => verdict === "wait");
  const short = came < step.minimumRequests;
  if (!short && waiting.length === 0) return null;
  return [
    `${came} ${step.weight === 0 ? "copies" : "requests"} came to the new variant.`,
    ...(short ? [`The step needs ${step.minimumRequests}.`] : []),
    ...waiting.map(({ signal, sentence }) => `Gate ${signal}: ${sentence}`),
  ].join(" ");
}

import type { Clock } from "../../../shared/clock.ts";
import { isKetlineError } from "../../../shared/errors.ts";
import type { CheckStanding } from "../../../shared/identity/index.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import { hasWaitedEnough, missingEvidence, stayEndsMs } from "./deadline.ts";
import { actorOf, hasMovedOn, type Moves } from "./moves.ts";
import { currentStep } from "./plan.ts";
import type { StepEnd } from "./progress.ts";
import type { StoredRollout } from "./store.ts";

/** What the current step has shown so far. */
export type Judged = Pick<StepEnd, "requests" | "verdicts">;

/** Who may start and move rollouts. */
export const rolloutRole = "operator";

export interface EvaluationOptions {
  readonly moves: Pick<Moves, "stepTo" | "takeBack" | "pause">;
  readonly judge: (rollout: StoredRollout) => Promise<Judged>;
  readonly clock: Clock;
  readonly checkStanding: CheckStanding;
  /** Told of what a person may want to look at. */
  readonly logger: Pick<Logger, "warn">;
}

/**
 * Evaluates one running rollout. A gate that fails is acted on at once; the next step is taken when the time of
 * this one is over, its requests are there and all its gates pass; and a step whose requests have not come by its deadline
 * waits no longer.
 *
 * @returns a function that throws conflict, for which `hasMovedOn` is true, when somebody else moved the rollout meanwhile
 */
export function createEvaluation({
  moves,
  judge,
  clock,
  checkStanding,
  logger,
}: EvaluationOptions): (rollout: StoredRollout) => Promise<void> {
  const pause = async (rollout: StoredRollout, reason: string) => {
    await moves.pause(rollout, { actor: actorOf(rollout), reason });
    const { id, deployment } = rollout;
    logger.warn({ deployment, rollout: id, reason }, "a rollout paused itself and waits for a person");
  };
  /** What is refused now is refused at the next look too: a person has to look. What is only down is tried again. */
  const orPause = async (rollout: StoredRollout, doing: Promise<unknown>, why: string) => {
    try {
      await doing;
    } catch (error) {
      if (hasMovedOn(error) || !isKetlineError(error)) throw error;
      if (error.kind === "unavailable" || error.kind === "timeout") throw error;
      await pause(rollout, `${why} ${error.message}`);
    }
  };
  const giveUp = async (
    rollout: StoredRollout,
    how: "abort" | "pause",
    end: StepEnd,
    reason: string,
  ): Promise<void> => {
    if (how === "pause") return pause(rollout, reason);
    const takingBack = moves.takeBack(rollout, end, { actor: actorOf(rollout), reason });
    await orPause(rollout, takingBack, `${reason} It could not be taken back.`);
  };
  return async (rollout) => {
    const judged = await judge(rollout);
    const { weight, progressDeadlineMs } = currentStep(rollout);
    const failed = judged.verdicts.find(({ verdict }) => verdict === "fail");
    if (failed !== undefined) {
      const reason = `Gate ${failed.signal} failed at ${weight} %. ${failed.sentence}`;
      return giveUp(rollout, rollout.onFailure, { state: "failed", ...judged }, reason);
    }
    const nowMs = clock();
    if (nowMs < stayEndsMs(rollout)) return;
    const missing = missingEvidence(currentStep(rollout), judged);
    if (missing === null) {
      const sentences = judged.verdicts.map(({ sentence }) => ` ${sentence}`).join("");
      const next = { actor: actorOf(rollout), reason: `Step ${rollout.step} passed.${sentences}` };
      // More traffic is given in the name of who started it; taking it back needs nobody's leave.
      const stepping = checkStanding(rollout.startedBy, rolloutRole).then(() =>
        moves.stepTo(rollout, rollout.step + 1, { state: "passed", ...judged }, next),
      );
      return orPause(rollout, stepping, "It could not go on.");
    }
    if (!hasWaitedEnough(rollout, nowMs)) return;
    const reason = `Step ${rollout.step} at ${weight} % still had too little evidence when its progressDeadlineMs of ${progressDeadlineMs} was over. ${missing}`;
    return giveUp(rollout, rollout.onDeadline, { state: "left", ...judged }, reason);
  };
}

import type { Clock } from "../../../shared/clock.ts";
import { isKetlineError } from "../../../shared/errors.ts";
import { actorOf, hasMovedOn, type Moves } from "./moves.ts";
import { currentStep } from "./plan.ts";
import type { StepEnd } from "./progress.ts";
import type { StoredRollout } from "./store.ts";

/** What the current step has shown so far. */
export type Judged = Pick<StepEnd, "requests" | "verdicts">;

export interface LookOptions {
  readonly moves: Pick<Moves, "stepTo" | "takeBack" | "pause">;
  readonly judge: (rollout: StoredRollout) => Promise<Judged>;
  readonly clock: Clock;
}

/**
 * Makes the look at one running rollout. A gate that fails is acted on at once; the next step is taken when the time of
 * this one is over, its requests are there and all its gates pass.
 *
 * @returns a function that throws conflict, for which `hasMovedOn` is true, when somebody else moved the rollout meanwhile
 */
export function createLook({ moves, judge, clock }: LookOptions): (rollout: StoredRollout) => Promise<void> {
  /** What is refused now is refused at the next look too: a person has to look. What is only down is tried again. */
  const orPause = async (rollout: StoredRollout, doing: Promise<void>) => {
    try {
      await doing;
    } catch (error) {
      if (hasMovedOn(error) || !isKetlineError(error)) throw error;
      if (error.kind === "unavailable" || error.kind === "timeout") throw error;
      await moves.pause(rollout, { actor: actorOf(rollout), reason: `It could not go on. ${error.message}` });
    }
  };
  return async (rollout) => {
    const judged = await judge(rollout);
    const { weight, minutes, minimumRequests } = currentStep(rollout);
    const by = (reason: string) => ({ actor: actorOf(rollout), reason });
    const failed = judged.verdicts.find(({ verdict }) => verdict === "fail");
    if (failed !== undefined) {
      const because = by(`Gate ${failed.signal} failed at ${weight} %. ${failed.sentence}`);
      if (rollout.onFailure === "pause") await moves.pause(rollout, because);
      else await orPause(rollout, moves.takeBack(rollout, { state: "failed", ...judged }, because));
      return;
    }
    if (clock() - rollout.sinceMs < minutes * 60_000) return;
    if ((judged.requests ?? 0) < minimumRequests) return;
    if (judged.verdicts.some(({ verdict }) => verdict !== "pass")) return;
    const sentences = judged.verdicts.map(({ sentence }) => ` ${sentence}`).join("");
    const next = by(`Step ${rollout.step} passed.${sentences}`);
    await orPause(rollout, moves.stepTo(rollout, rollout.step + 1, { state: "passed", ...judged }, next));
  };
}

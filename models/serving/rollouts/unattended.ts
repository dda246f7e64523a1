import { forbidden, isKetlineError } from "../../../shared/errors.ts";
import { invalidBySchema } from "../../../shared/http/index.ts";
import { allows } from "../../../shared/identity/index.ts";
import type { RollOutRequest, Serving } from "../serving.ts";
import type { Rollouts } from "./rollouts.ts";
import { StartRolloutBody } from "./schemas.ts";

/** Rollouts that no person starts: of versions that a schedule trained. */
export function unattendedRollouts(
  rollouts: Pick<Rollouts, "start" | "get" | "list">,
): Pick<Serving, "checkRolloutPlan" | "rollOut" | "rolloutStatus"> {
  const bodyOf = (plan: RollOutRequest["plan"], target: StartRolloutBody["target"], reason: string) => {
    const parsed = StartRolloutBody.safeParse({ ...plan, target, reason });
    if (!parsed.success) throw invalidBySchema(parsed.error, plan, "plan");
    return parsed.data;
  };
  return {
    checkRolloutPlan(plan) {
      bodyOf(plan, { model: "a-model", version: "1" }, "a check");
    },

    async rollOut({ deployment, plan, model, version, key, reason, actor }) {
      if (!allows(actor, "operator")) {
        throw forbidden(`${actor.name} has the role ${actor.role}; a rollout needs operator.`);
      }
      const body = bodyOf(plan, { model, version: String(version) }, `${reason} [${key}]`);
      try {
        return (await rollouts.start(deployment, body, actor)).id;
      } catch (error) {
        if (!isKetlineError(error, "conflict")) throw error;
        // It was started before, and whoever started it did not live to write that down.
        const { items } = await rollouts.list(deployment, { limit: 1 });
        const [newest] = items;
        if (newest?.reason.endsWith(`[${key}]`)) return newest.id;
        throw error;
      }
    },

    async rolloutStatus(deployment, id) {
      try {
        const { state, stateReason } = await rollouts.get(deployment, id);
        return { id, state, stateReason };
      } catch (error) {
        if (isKetlineError(error, "not_found")) return null;
        throw error;
      }
    },
  };
}

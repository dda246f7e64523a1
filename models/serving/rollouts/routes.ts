import { z } from "zod";
import { json, pageQuery, type Route, route } from "../../../shared/http/index.ts";
import { DeploymentName } from "../schemas.ts";
import type { Rollouts } from "./rollouts.ts";
import { ActBody, AdvanceBody, RolloutDetail, RolloutPage, StartRolloutBody } from "./schemas.ts";

const tag = "Rollouts";
const base = "/api/v1/deployments/:name/rollouts";
const one = `${base}/:id`;
const Name = z.object({ name: DeploymentName });
const One = Name.extend({ id: z.uuid().describe("The rollout's id") });

/** Ketline's own API of staged rollouts. */
export function rolloutRoutes(rollouts: Rollouts): readonly Route[] {
  const read = { protocol: "ketline", role: "viewer", tag } as const;
  const change = { protocol: "ketline", role: "operator", tag, timeoutMs: 120_000 } as const;
  const now = { 200: { description: "The rollout as it is now", schema: RolloutDetail } };
  return [
    route({
      ...change,
      method: "POST",
      path: base,
      summary: "Roll a new variant out step by step",
      description:
        "Takes the first step at once and the others when their time is over and their gates pass. Each step is a " +
        "revision of the deployment; at 100 % the other variants are removed. A step whose requests do not come waits " +
        "until its deadline. Any other change of the deployment ends " +
        "the rollout and stands: a rollback aborts it, everything else supersedes it.",
      params: Name,
      body: StartRolloutBody,
      responses: { 201: { description: "It has begun", schema: RolloutDetail } },
      handle: async ({ params, body, actor }) => {
        const started = await rollouts.start(params.name, body, actor);
        const location = `/api/v1/deployments/${params.name}/rollouts/${started.id}`;
        return json(started, 201, { location });
      },
    }),
    route({
      ...read,
      method: "GET",
      path: base,
      summary: "List rollouts, newest first",
      params: Name,
      query: z.object(pageQuery),
      responses: { 200: { description: "Newest first", schema: RolloutPage } },
      handle: async ({ params, query: { limit, cursor } }) =>
        json(await rollouts.list(params.name, cursor === undefined ? { limit } : { limit, cursor })),
    }),
    route({
      ...read,
      method: "GET",
      path: one,
      summary: "Read a rollout with its steps, verdicts and history",
      description: "The verdicts of the current step are of now; other instances' counts are up to 20 s old.",
      params: One,
      responses: now,
      handle: async ({ params }) => json(await rollouts.get(params.name, params.id)),
    }),
    route({
      ...change,
      method: "POST",
      path: `${one}/pause`,
      summary: "Stop the clock of a rollout; the traffic stays as it is",
      params: One,
      body: ActBody,
      responses: now,
      handle: async ({ params, body: { reason }, actor }) =>
        json(await rollouts.pause(params.name, params.id, { actor, reason })),
    }),
    route({
      ...change,
      method: "POST",
      path: `${one}/resume`,
      summary: "Let a paused rollout go on",
      description:
        "The clock of its step goes on from where it stood; a step that had reached its deadline has its whole wait again. " +
        "Gates go by all requests of the step, so one that failed fails again at once unless requests came meanwhile that " +
        "speak otherwise: advance takes the next step in spite of it.",
      params: One,
      body: ActBody,
      responses: now,
      handle: async ({ params, body: { reason }, actor }) =>
        json(await rollouts.resume(params.name, params.id, { actor, reason })),
    }),
    route({
      ...change,
      method: "POST",
      path: `${one}/abort`,
      summary: "End a rollout and restore the revision before it",
      params: One,
      body: ActBody,
      responses: now,
      handle: async ({ params, body: { reason }, actor }) =>
        json(await rollouts.abort(params.name, params.id, { actor, reason })),
    }),
    route({
      ...change,
      method: "POST",
      path: `${one}/advance`,
      summary: "Promote now: to the next step or to the end, without waiting for time and gates",
      params: One,
      body: AdvanceBody,
      responses: now,
      handle: async ({ params, body, actor }) =>
        json(await rollouts.advance(params.name, params.id, body, actor)),
    }),
  ];
}

import {
  decodeCursor,
  expectedRevisionOf,
  expecting,
  json,
  page,
  type Route,
  route,
  tagged,
} from "../../../shared/http/index.ts";
import type { Schedules } from "./schedules.ts";
import {
  FiringPage,
  FiringParams,
  FiringPosition,
  FiringSchema,
  FiringsQuery,
  PauseBody,
  PutScheduleQuery,
  RunBody,
  SchedulePage,
  ScheduleParams,
  SchedulePosition,
  ScheduleSchema,
  ScheduleSpec,
  SchedulesQuery,
} from "./schemas.ts";

const tag = "Schedules";
const protocol = "ketline" as const;

export function scheduleRoutes(schedules: Schedules): readonly Route[] {
  const paused = (verb: "pause" | "resume") =>
    route({
      method: "POST",
      path: `/api/v1/schedules/:name/${verb}`,
      protocol,
      tag,
      role: "contributor",
      summary: verb === "pause" ? "Pause a schedule" : "Let a paused schedule go on",
      description:
        verb === "pause"
          ? "It is not due and no trigger starts it; what runs goes on."
          : "It is next due after now: what was due while it was paused is not made up for.",
      params: ScheduleParams,
      body: PauseBody,
      responses: { 200: { description: "The schedule", schema: ScheduleSchema } },
      handle: async ({ params, body, actor, request }) => {
        const change = { actor, reason: body.reason, ...expecting(expectedRevisionOf(request)) };
        return tagged(await schedules.pause(params.name, verb === "pause", change));
      },
    });
  return [
    route({
      method: "GET",
      path: "/api/v1/schedules",
      protocol,
      tag,
      role: "viewer",
      summary: "List schedules in the order of their names",
      query: SchedulesQuery,
      responses: { 200: { description: "One page of schedules", schema: SchedulePage } },
      handle: async ({ query: { limit, cursor } }) => {
        const after = decodeCursor(SchedulePosition, cursor)?.name ?? "";
        const found = await schedules.list(after, limit + 1);
        return json(
          page(
            found,
            limit,
            (schedule) => schedule,
            ({ name }) => ({ name }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/schedules/:name",
      protocol,
      tag,
      role: "viewer",
      summary: "Read a schedule",
      params: ScheduleParams,
      responses: { 200: { description: "The schedule", schema: ScheduleSchema } },
      handle: async ({ params }) => tagged(await schedules.get(params.name)),
    }),
    route({
      method: "PUT",
      path: "/api/v1/schedules/:name",
      protocol,
      tag,
      role: "contributor",
      summary: "Make a schedule, or replace one",
      description:
        "Trains the same specification again and again: by the clock, for new versions of its data set, for alerts of " +
        "monitors. What it does it does with the rights of who changed it last. With If-Match the change is made only " +
        "to the revision that was read.",
      params: ScheduleParams,
      query: PutScheduleQuery,
      body: ScheduleSpec,
      responses: { 200: { description: "The schedule", schema: ScheduleSchema } },
      handle: async ({ params, query, body, actor, request }) =>
        tagged(
          await schedules.put(params.name, body, {
            actor,
            reason: query.reason,
            ...expecting(expectedRevisionOf(request)),
          }),
        ),
    }),
    route({
      method: "DELETE",
      path: "/api/v1/schedules/:name",
      protocol,
      tag,
      role: "contributor",
      summary: "Delete a schedule; what runs goes on, and its history stays",
      params: ScheduleParams,
      query: PutScheduleQuery,
      responses: { 204: { description: "It is gone" } },
      handle: async ({ params, query, actor, request }) => {
        await schedules.remove(params.name, {
          actor,
          reason: query.reason,
          ...expecting(expectedRevisionOf(request)),
        });
        return { status: 204, json: null };
      },
    }),
    paused("pause"),
    paused("resume"),
    route({
      method: "POST",
      path: "/api/v1/schedules/:name/run",
      protocol,
      tag,
      role: "contributor",
      summary: "Fire a schedule now",
      params: ScheduleParams,
      body: RunBody,
      responses: { 202: { description: "The firing", schema: FiringSchema } },
      handle: async ({ params, body, actor }) =>
        json(await schedules.run(params.name, actor, body.reason), 202),
    }),
    route({
      method: "GET",
      path: "/api/v1/schedules/:name/firings",
      protocol,
      tag,
      role: "viewer",
      summary: "List the firings of a schedule, newest first",
      params: ScheduleParams,
      query: FiringsQuery,
      responses: { 200: { description: "One page of firings", schema: FiringPage } },
      handle: async ({ params, query: { limit, cursor, state } }) => {
        const before = decodeCursor(FiringPosition, cursor);
        const found = await schedules.firings(params.name, state, before, limit + 1);
        return json(
          page(
            found,
            limit,
            (firing) => firing,
            ({ firedMs, id }) => ({ firedMs, id }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/schedules/:name/firings/:id",
      protocol,
      tag,
      role: "viewer",
      summary: "Read a firing: why it fired, what it trained on, its verdict and its rollout",
      params: FiringParams,
      responses: { 200: { description: "The firing", schema: FiringSchema } },
      handle: async ({ params }) => json(await schedules.firing(params.name, params.id)),
    }),
  ];
}

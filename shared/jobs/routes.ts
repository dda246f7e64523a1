import { decodeCursor, encodeCursor, json, page, type Route, route } from "../http/index.ts";
import type { JobOperations } from "./jobs.ts";
import {
  CancelBody,
  JobPage,
  JobParams,
  JobPosition,
  JobSchema,
  JobsQuery,
  LogPage,
  LogPosition,
  LogsQuery,
  shownJob,
} from "./schemas.ts";
import { jobEventStream } from "./stream.ts";

const tag = "Jobs";
const protocol = "ketline" as const;

export function jobRoutes(jobs: JobOperations): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/api/v1/jobs",
      protocol,
      tag,
      role: "viewer",
      summary: "List jobs, newest first",
      query: JobsQuery,
      responses: { 200: { description: "One page of jobs", schema: JobPage } },
      handle: async ({ query: { kind, state, limit, cursor } }) => {
        const found = await jobs.list({ kind, state }, decodeCursor(JobPosition, cursor), limit + 1);
        return json(page(found, limit, shownJob, ({ createdMs, id }) => ({ createdMs, id })));
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/jobs/:id",
      protocol,
      tag,
      role: "viewer",
      summary: "Follow a job",
      params: JobParams,
      responses: { 200: { description: "The job", schema: JobSchema } },
      handle: async ({ params }) => json(shownJob(await jobs.get(params.id))),
    }),
    route({
      method: "GET",
      path: "/api/v1/jobs/:id/logs",
      protocol,
      tag,
      role: "viewer",
      summary: "Read what a job logged",
      params: JobParams,
      query: LogsQuery,
      responses: { 200: { description: "One page of lines, oldest first", schema: LogPage } },
      handle: async ({ params, query: { limit, cursor } }) => {
        const after = decodeCursor(LogPosition, cursor)?.line ?? 0;
        const lines = await jobs.logs(params.id, after, limit + 1);
        const shown = page(
          lines,
          limit,
          (line) => line,
          ({ line }) => ({ line }),
        );
        return json({ ...shown, resumeCursor: encodeCursor({ line: shown.items.at(-1)?.line ?? after }) });
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/jobs/:id/events",
      protocol,
      tag,
      role: "viewer",
      summary: "Follow a job as a stream of server-sent events",
      description:
        "`job` events carry the job whenever it changed, `log` events a line each; after the job ended an `end` event " +
        "follows and the stream closes. `Last-Event-ID` resumes the log where a broken connection left it.",
      params: JobParams,
      timeoutMs: 0,
      responses: { 200: { description: "The events", contentType: "text/event-stream" } },
      handle: async ({ params, request, signal }) => jobEventStream(jobs, params.id, request, signal),
    }),
    route({
      method: "POST",
      path: "/api/v1/jobs/:id/cancel",
      protocol,
      tag,
      role: "contributor",
      summary: "Cancel a job",
      description:
        "A queued job is cancelled at once, a running one when its worker hears of it. Needs the role that may submit it.",
      params: JobParams,
      body: CancelBody,
      responses: { 200: { description: "The job", schema: JobSchema } },
      handle: async ({ params, body, actor }) =>
        json(shownJob(await jobs.cancel(params.id, actor, body?.reason))),
    }),
    route({
      method: "POST",
      path: "/api/v1/jobs/:id/retry",
      protocol,
      tag,
      role: "contributor",
      summary: "Try a failed or cancelled job again",
      description: "Needs the role that may submit it.",
      params: JobParams,
      responses: { 202: { description: "The job, queued", schema: JobSchema } },
      handle: async ({ params, actor }) => json(shownJob(await jobs.retry(params.id, actor)), 202),
    }),
  ];
}

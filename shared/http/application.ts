import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import type { Logger } from "pino";
import type { z } from "zod";
import { forbidden, invalid, isKetlineError, notFound, timedOut, unauthenticated } from "../errors.ts";
import { type Actor, allows, type Identity } from "../identity/actor.ts";
import { failSpan, inSpan } from "../telemetry/index.ts";
import { readJson } from "./body.ts";
import { errorReply, protocolOfPath } from "./protocols.ts";
import type { Call, Reply, Route } from "./route.ts";

export interface ApplicationOptions {
  readonly routes: readonly Route[];
  readonly identity: Identity;
  readonly logger: Logger;
  /** The address to write into links; the caller's own view of it when not given. */
  readonly publicUrl?: string | undefined;
  /** Told of every answer, for metrics. */
  readonly observe?: (observation: RequestObservation) => void;
}

export interface RequestObservation {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
}

const defaultTimeoutMs = 30_000;
const defaultMaxBodyBytes = 1024 ** 2;
const requestIdPattern = /^[\w.:-]{1,128}$/;

/**
 * The one application behind both doors. For each route: request id, authentication, the role, parsing by its schemas,
 * a time limit, the answer in the protocol of the route, and one line in the access log.
 */
export function createApplication(options: ApplicationOptions): Hono {
  const app = new Hono();
  for (const route of options.routes) {
    app.on(route.method, route.path, (context) => answer(route, context, options));
  }
  app.notFound((context) => {
    const { path, method } = context.req;
    return errorResponse(
      protocolOfPath(path),
      notFound(`Nothing answers ${method} ${path}.`, { code: "ENDPOINT_NOT_FOUND" }),
      requestIdOf(context.req.raw),
    );
  });
  return app;
}

async function answer(route: Route, context: Context, options: ApplicationOptions): Promise<Response> {
  const started = performance.now();
  const { method, path } = context.req;
  const requestId = requestIdOf(context.req.raw);
  const span = {
    kind: "server",
    attributes: { "http.request.method": method, "http.route": route.path, "url.path": path },
    parent: traceHeaders(context.req.raw.headers),
  } as const;
  return inSpan(`${method} ${route.path}`, span, async (span) => {
    let actor: Actor = nobody;
    let response: Response;
    try {
      actor = await authorise(route, context.req.raw, options.identity);
      response = toResponse(await handle(route, context, actor, requestId, options.publicUrl), requestId);
    } catch (error) {
      response = errorResponse(route.protocol, error, requestId);
      if (response.status >= 500) {
        failSpan(span, error);
        const level = isKetlineError(error) ? "warn" : "error";
        options.logger[level]({ requestId, route: route.path, err: error }, "request failed");
      }
    }
    const { status } = response;
    const durationMs = performance.now() - started;
    span.setAttribute("http.response.status_code", status);
    options.logger.info({ requestId, method, path, status, durationMs, actor: actor.id }, "request");
    options.observe?.({ method, route: route.path, status, durationMs });
    return response;
  });
}

function traceHeaders(headers: Headers): Record<string, string> {
  const traceparent = headers.get("traceparent");
  const tracestate = headers.get("tracestate");
  return {
    ...(traceparent === null ? {} : { traceparent }),
    ...(tracestate === null ? {} : { tracestate }),
  };
}

/** Reads the request and lets the route answer it, together within the route's time. */
async function handle(
  route: Route,
  context: Context,
  actor: Actor,
  requestId: string,
  publicUrl: string | undefined,
): Promise<Reply> {
  const limitMs = route.timeoutMs ?? defaultTimeoutMs;
  const { signal } = context.req.raw;
  const run = async (signal: AbortSignal): Promise<Reply> => {
    const call = await parse(route, context, actor, requestId, publicUrl, signal);
    return route.handle(call as Call<never, never, never>);
  };
  return limitMs > 0 ? withinTime(run, signal, limitMs) : run(signal);
}

const nobody: Actor = { id: "nobody", name: "nobody", role: "viewer", source: "system" };

async function authorise(route: Route, request: Request, identity: Identity): Promise<Actor> {
  const actor = await identity.authenticate(request);
  if (route.role === "public") return actor ?? nobody;
  if (actor === null) {
    throw unauthenticated(
      "This needs a credential: a bearer token, or a Ketline token as the Basic password.",
    );
  }
  if (!allows(actor, route.role)) {
    throw forbidden(`${actor.name} has the role ${actor.role}; this needs ${route.role}.`);
  }
  return actor;
}

async function parse(
  route: Route,
  context: Context,
  actor: Actor,
  requestId: string,
  publicUrl: string | undefined,
  signal: AbortSignal,
): Promise<Call<unknown, unknown, unknown>> {
  const request = context.req.raw;
  const rawParams: Record<string, string> = context.req.param();
  const params = route.params === undefined ? rawParams : check(route.params, rawParams, "path");
  const url = new URL(request.url);
  const rawQuery = queryOf(url.searchParams);
  const query = route.query === undefined ? rawQuery : check(route.query, rawQuery, "query");
  const body =
    route.body === undefined || route.body === "stream"
      ? undefined
      : check(route.body, await readJson(request, route.maxBodyBytes ?? defaultMaxBodyBytes), "body");
  return { params, query, body, actor, request, requestId, signal, baseUrl: publicUrl ?? url.origin };
}

/** Repeated keys become a list. */
function queryOf(search: URLSearchParams): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  for (const key of new Set(search.keys())) {
    const values = search.getAll(key);
    query[key] = values.length === 1 ? (values[0] ?? "") : values;
  }
  return query;
}

function check(schema: z.ZodType, value: unknown, where: string): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidBySchema(parsed.error, value, where);
}

/** One sentence per wrong field, each with the value that was sent and what would be right. */
export function invalidBySchema(error: z.ZodError, value: unknown, where: string) {
  const sentences = error.issues.slice(0, 5).map((issue) => {
    const field = issue.path.length === 0 ? where : issue.path.map(String).join(".");
    const sent = issue.path.reduce<unknown>(
      (at, key) =>
        typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined,
      value,
    );
    const shown = sent === undefined ? "is missing" : `is ${JSON.stringify(sent).slice(0, 100)}`;
    return `${field} ${shown}: ${issue.message}`;
  });
  const first = error.issues[0]?.path.map(String).join(".");
  return invalid(sentences.join("; "), first ? { field: first } : {});
}

/**
 * The timer is taken back once there is an answer: the body of a streamed answer may take longer, and a timer left
 * behind by each request would be kept for its whole time.
 */
async function withinTime(
  run: (signal: AbortSignal) => Promise<Reply>,
  outer: AbortSignal,
  limitMs: number,
): Promise<Reply> {
  const limit = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = timedOut(`No answer within ${limitMs / 1000} s; a job is the way for longer work.`);
      reject(error);
      limit.abort(error);
    }, limitMs);
  });
  try {
    return await Promise.race([run(AbortSignal.any([outer, limit.signal])), expired]);
  } finally {
    clearTimeout(timer);
  }
}

function toResponse(reply: Reply, requestId: string): Response {
  if (reply instanceof Response) return withHeaders(reply, requestId);
  if ("raw" in reply) {
    return new Response(reply.raw, {
      status: reply.status,
      headers: { "x-request-id": requestId, "x-content-type-options": "nosniff", ...reply.headers },
    });
  }
  return new Response(reply.status === 204 ? null : JSON.stringify(reply.json), {
    status: reply.status,
    headers: {
      "content-type": "application/json",
      "x-request-id": requestId,
      "x-content-type-options": "nosniff",
      ...reply.headers,
    },
  });
}

/** Browsers must take an artifact for what it is declared to be; a Response that was fetched has fixed headers. */
function withHeaders(response: Response, requestId: string): Response {
  const set = (target: Response): Response => {
    if (!target.headers.has("x-request-id")) target.headers.set("x-request-id", requestId);
    if (!target.headers.has("x-content-type-options"))
      target.headers.set("x-content-type-options", "nosniff");
    return target;
  };
  try {
    return set(response);
  } catch {
    return set(new Response(response.body, response));
  }
}

function errorResponse(protocol: Route["protocol"], error: unknown, requestId: string): Response {
  const { status, body, contentType, headers } = errorReply(protocol, error, requestId);
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...headers, "content-type": contentType, "x-request-id": requestId },
  });
}

function requestIdOf(request: Request): string {
  const given = request.headers.get("x-request-id");
  return given !== null && requestIdPattern.test(given) ? given : randomUUID();
}

import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import type { Logger } from "pino";
import type { z } from "zod";
import {
  forbidden,
  invalid,
  isKetlineError,
  methodNotAllowed,
  notFound,
  timedOut,
  unauthenticated,
  unavailable,
} from "../errors.ts";
import { type Actor, allows, type Identity } from "../identity/actor.ts";
import { failSpan, inSpan } from "../telemetry/index.ts";
import { readJson } from "./body.ts";
import { isStorable, unstorable } from "./json.ts";
import { createPathMethods } from "./methods.ts";
import { errorReply, protocolOfPath } from "./protocols.ts";
import type { Call, Reply, RequestHead, Route } from "./route.ts";

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
    // A rest of a path may hold a new line, which a dot does not match.
    app.on(route.method, route.path.replace("{.+}", "{[\\s\\S]+}"), async (context) => {
      const { raw, path } = context.req;
      const answered = await answerRoute(route, { request: raw, path, params: context.req.param() }, options);
      if (answered instanceof Response) return answered;
      const { status, headers, body } = answered;
      return new Response(body, { status, headers });
    });
  }
  const pathMethods = createPathMethods(options.routes);
  app.notFound((context) => {
    const { path, method } = context.req;
    const requestId = requestIdOf(context.req.raw);
    const allow = pathMethods.of(path);
    if (method === "OPTIONS" && allow.length > 0) {
      return new Response(null, {
        status: 204,
        headers: { allow: allow.join(", "), "x-request-id": requestId },
      });
    }
    const error =
      allow.length === 0
        ? notFound(`Nothing answers ${method} ${path}.`, { code: "ENDPOINT_NOT_FOUND" })
        : methodNotAllowed(`${path} has no ${method}; it takes ${allow.join(", ")}.`, {
            headers: { allow: allow.join(", ") },
          });
    const { status, headers, body } = errorAnswer(protocolOfPath(path), error, requestId);
    return new Response(body as string, { status, headers });
  });
  return app;
}

/** A request that found its route. */
export interface Exchange {
  readonly request: RequestHead;
  readonly path: string;
  readonly params: Record<string, string>;
}

/** An answer that is ready to be written. */
export interface WrittenAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer> | null;
}

/** The rules that hold for every route, whichever way its requests come. Never rejects. */
export function answerRoute(
  route: Route,
  exchange: Exchange,
  options: ApplicationOptions,
): Promise<Response | WrittenAnswer> {
  const started = performance.now();
  const { request, path } = exchange;
  const { method } = request;
  const requestId = requestIdOf(request);
  const span = {
    kind: "server",
    attributes: { "http.request.method": method, "http.route": route.path, "url.path": path },
    parent: traceHeaders(request.headers),
  } as const;
  return inSpan(`${method} ${route.path}`, span, async (span) => {
    let actor: Actor = nobody;
    let answered: Response | WrittenAnswer;
    try {
      const known = options.identity.authenticate(request);
      actor = authorised(route, known instanceof Promise ? await known : known);
      answered = written(await handle(route, exchange, actor, requestId, options.publicUrl), requestId);
    } catch (thrown) {
      // What fails because its caller went away is no fault of the server, whatever it fails with.
      const isGone = !isKetlineError(thrown) && (request.isGone ?? request.signal.aborted);
      const error = isGone ? unavailable("The request was given up.", { cause: thrown }) : thrown;
      answered = errorAnswer(route.protocol, error, requestId);
      if (answered.status >= 500) {
        failSpan(span, error);
        const level = isKetlineError(error) ? "warn" : "error";
        options.logger[level]({ requestId, route: route.path, err: error }, "request failed");
      }
    }
    const { status } = answered;
    const durationMs = performance.now() - started;
    span.setAttribute("http.response.status_code", status);
    if (options.logger.isLevelEnabled("info")) {
      options.logger.info({ requestId, method, path, status, durationMs, actor: actor.id }, "request");
    }
    options.observe?.({ method, route: route.path, status, durationMs });
    return answered;
  });
}

function traceHeaders(headers: RequestHead["headers"]): Record<string, string> {
  const traceparent = headers.get("traceparent");
  const tracestate = headers.get("tracestate");
  return {
    ...(traceparent === null ? {} : { traceparent }),
    ...(tracestate === null ? {} : { tracestate }),
  };
}

/** Reads the request and lets the route answer it, together within the route's time. */
function handle(
  route: Route,
  exchange: Exchange,
  actor: Actor,
  requestId: string,
  publicUrl: string | undefined,
): Promise<Reply> {
  const { request } = exchange;
  const limitMs = route.timeoutMs ?? defaultTimeoutMs;
  const run = async (signalled: Signalled): Promise<Reply> => {
    const { params, query } = asked(route, exchange);
    const { body: schema } = route;
    const body =
      schema === undefined || schema === "stream"
        ? undefined
        : check(schema, await readJson(request, route.maxBodyBytes ?? defaultMaxBodyBytes), "body");
    const call: Omit<Call<unknown, unknown, unknown>, "request"> & { readonly request: RequestHead } = {
      params,
      query,
      body,
      actor,
      request,
      requestId,
      get signal() {
        return signalled.signal;
      },
      get isGone() {
        return request.isGone ?? signalled.signal.aborted;
      },
      get baseUrl() {
        return publicUrl ?? new URL(request.url).origin;
      },
    };
    return route.handle(call as Call<never, never, never>);
  };
  return limitMs > 0 ? withinTime(run, request, limitMs) : run(request);
}

/** Most calls never look at their signal, and making one costs several microseconds. */
type Signalled = Pick<RequestHead, "signal">;

const nobody: Actor = { id: "nobody", name: "nobody", role: "viewer", source: "system" };

function authorised(route: Route, actor: Actor | null): Actor {
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

/** What stands in the address. */
function asked(
  route: Route,
  { request, params: rawParams }: Exchange,
): { readonly params: unknown; readonly query: unknown } {
  if (request.url.includes("%")) checkEncoding(request.url, rawParams);
  const params = route.params === undefined ? rawParams : check(route.params, rawParams, "path");
  // Taking an address apart costs as much as all else here, and most have nothing behind their path.
  const rawQuery = request.url.includes("?") ? queryOf(new URL(request.url).searchParams) : {};
  const query = route.query === undefined ? rawQuery : check(route.query, rawQuery, "query");
  return { params, query };
}

/**
 * A percent-encoding that is not UTF-8 would be read as another name than the one that was meant, and NUL cannot be
 * stored.
 */
function checkEncoding(url: string, params: Exchange["params"]): void {
  const { pathname, search, searchParams } = new URL(url);
  if (!isDecodable(pathname)) {
    throw invalid(`The path has a percent-encoding that is not UTF-8: ${pathname.slice(0, 200)}`);
  }
  // A percent sign that stands for itself is usual in a query.
  if (!isDecodable(search.replace(/%(?![\da-f]{2})/gi, "%25"))) {
    throw invalid(`The query has a percent-encoding that is not UTF-8: ${search.slice(0, 200)}`);
  }
  for (const [name, value] of Object.entries(params)) {
    if (!isStorable(value)) throw unstorable(name);
  }
  for (const [name, value] of searchParams) {
    if (!isStorable(name) || !isStorable(value))
      throw unstorable(isStorable(name) ? name : "A key of the query");
  }
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Repeated keys become a list. */
function queryOf(search: URLSearchParams): Record<string, string | string[]> {
  // A key may be called as something that every object has.
  const query: Record<string, string | string[]> = Object.create(null);
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
    const field = issue.path.length === 0 ? where : issue.path.map(String).join(".").slice(0, 200);
    const sent = issue.path.reduce<unknown>(
      (at, key) =>
        typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined,
      value,
    );
    const shown = sent === undefined ? "is missing" : `is ${JSON.stringify(sent).slice(0, 100)}`;
    return `${field} ${shown}: ${issue.message}`;
  });
  const first = error.issues[0]?.path.map(String).join(".").slice(0, 200);
  return invalid(sentences.join("; "), first ? { field: first } : {});
}

/**
 * The timer is taken back once there is an answer: the body of a streamed answer may take longer, and a timer left
 * behind by each request would be kept for its whole time.
 */
function withinTime(
  run: (signalled: Signalled) => Promise<Reply>,
  request: Signalled,
  limitMs: number,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let limit: AbortController | undefined;
    let signal: AbortSignal | undefined;
    let late: Error | undefined;
    const timer = setTimeout(() => {
      late = timedOut(`No answer within ${limitMs / 1000} s; a job is the way for longer work.`);
      reject(late);
      limit?.abort(late);
    }, limitMs);
    const signalled: Signalled = {
      get signal() {
        limit ??= new AbortController();
        if (late !== undefined) limit.abort(late);
        signal ??= AbortSignal.any([request.signal, limit.signal]);
        return signal;
      },
    };
    run(signalled)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

function written(reply: Reply, requestId: string): Response | WrittenAnswer {
  if (reply instanceof Response) return withHeaders(reply, requestId);
  const common = { "x-request-id": requestId, "x-content-type-options": "nosniff" };
  if ("raw" in reply) {
    return { status: reply.status, body: reply.raw, headers: { ...common, ...reply.headers } };
  }
  return {
    status: reply.status,
    body: reply.status === 204 ? null : JSON.stringify(reply.json),
    headers: { "content-type": "application/json", ...common, ...reply.headers },
  };
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

function errorAnswer(protocol: Route["protocol"], error: unknown, requestId: string): WrittenAnswer {
  const { status, body, contentType, headers } = errorReply(protocol, error, requestId);
  return {
    status,
    body: JSON.stringify(body),
    headers: { ...headers, "content-type": contentType, "x-request-id": requestId },
  };
}

function requestIdOf({ headers }: RequestHead): string {
  const given = headers.get("x-request-id");
  return given !== null && requestIdPattern.test(given) ? given : randomUUID();
}

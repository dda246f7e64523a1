import type { z } from "zod";
import type { Actor, Role } from "../identity/actor.ts";

/** Which protocol's error format and conventions a path follows. */
export type Protocol = "ketline" | "mlflow" | "inference" | "scoring" | "quantum";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/**
 * What the rules of every route ask of a request; a `Request` of the Fetch API has all of it, and a door may have it
 * cheaper.
 */
export interface RequestHead {
  readonly method: string;
  /** Whole, with scheme and host. */
  readonly url: string;
  readonly headers: { get(name: string): string | null; has(name: string): boolean };
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
  /** Whether the caller has gone away, where that can be told without a signal. */
  readonly isGone?: boolean;
  readonly body: ReadableStream<Uint8Array> | null;
  arrayBuffer(): Promise<ArrayBuffer>;
  /**
   * The body at once, where that needs no copy; it belongs to whoever reads it.
   *
   * @param alignedAt what begins here lies at a multiple of eight bytes in memory, where that costs nothing
   */
  wholeBody?(alignedAt?: number): Promise<Uint8Array>;
}

/** What a handler is given: the request, parsed and authorised. */
export interface Call<
  Params = Record<string, string>,
  Query = Record<string, string | string[]>,
  Body = unknown,
> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** Nobody on public routes that were called without a credential. */
  readonly actor: Actor;
  readonly request: Request;
  /** The address that the caller used to reach this server, without a trailing slash. */
  readonly baseUrl: string;
  readonly requestId: string;
  /** Aborted when the caller goes away or the route's time is up. */
  readonly signal: AbortSignal;
  /** Whether nobody waits for an answer any more: asking this may need no signal, which costs several microseconds. */
  readonly isGone: boolean;
}

/** A JSON answer; anything else is a `Response`. */
export interface JsonReply {
  readonly status: number;
  readonly json: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is already written, on hot paths: its headers need not be copied once more, as a `Response`'s are. */
export interface RawReply {
  readonly status: number;
  readonly raw: string | Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}
export type Reply = Response | JsonReply | RawReply;

/** What the handler of a direct route is given, whichever way the request came. */
export interface DirectCall<Params = Record<string, string>>
  extends Pick<Call<Params>, "params" | "query" | "actor" | "requestId" | "signal" | "isGone" | "baseUrl"> {
  readonly request: RequestHead;
}

export interface RouteResponse {
  readonly description: string;
  readonly schema?: z.ZodType;
  /** application/json where there is a schema; all of them where it may be one of several. */
  readonly contentType?: string | readonly string[];
}

export interface RouteSpec<Params, Query, Body> {
  readonly method: Method;
  /** Hono's syntax: `/api/v1/datasets/:name`, `/artifacts/:path{.+}`. */
  readonly path: string;
  readonly protocol: Protocol;
  /** The least role that may call it; `public` needs no credential. */
  readonly role: Role | "public";
  readonly summary: string;
  readonly description?: string;
  /** The heading it stands under in the reference, e.g. `Datasets`. */
  readonly tag: string;
  readonly params?: z.ZodType<Params>;
  readonly query?: z.ZodType<Query>;
  /** A schema for a JSON body; `stream` leaves `request.body` to the handler. No body is read without it. */
  readonly body?: z.ZodType<Body> | "stream";
  /** What the handler reads itself, from the query of a GET or else from a JSON body; not enforced here. */
  readonly accepts?: z.ZodType;
  /** The media types of a body that the handler reads itself; JSON where `accepts` says what, else plain bytes. */
  readonly bodyTypes?: readonly string[];
  /** The most bytes that a JSON body may have; 1 MiB by default. */
  readonly maxBodyBytes?: number;
  /** 30 s by default; 0 for no limit (streams, hot paths that keep their own). */
  readonly timeoutMs?: number;
  /** Set by `directRoute`. */
  readonly direct?: true;
  readonly responses: Readonly<Record<number, RouteResponse>>;
  handle(call: Call<Params, Query, Body>): Promise<Reply> | Reply;
}

/** A route of any shape, as the application mounts it. */
export type Route = RouteSpec<never, never, never>;

/** Declares a route; the types of params, query and body follow from its schemas. */
export function route<
  Params = Record<string, string>,
  Query = Record<string, string | string[]>,
  Body = undefined,
>(spec: RouteSpec<Params, Query, Body>): Route {
  return spec as unknown as Route;
}

/**
 * Declares a route of a hot path. Its handler asks of the request what `RequestHead` has and nothing more, so that a door
 * may bring it without the objects of the Fetch API, which cost more than a small model (`direct.ts`). It reads the body
 * and the query itself.
 */
export function directRoute<Params = Record<string, string>>(
  spec: Omit<RouteSpec<Params, unknown, undefined>, "handle" | "body" | "query" | "direct"> & {
    handle(call: DirectCall<Params>): Promise<RawReply | JsonReply>;
  },
): Route {
  return route<Params>({
    ...(spec as RouteSpec<Params, Record<string, string | string[]>, undefined>),
    ...(spec.method === "GET" ? {} : { body: "stream" as const }),
    direct: true,
  });
}

export function json(body: unknown, status = 200, headers?: Readonly<Record<string, string>>): JsonReply {
  return headers === undefined ? { status, json: body } : { status, json: body, headers };
}

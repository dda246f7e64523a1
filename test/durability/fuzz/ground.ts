import type { Route } from "../../../shared/http/index.ts";
import type { FuzzRequest } from "./exchange.ts";
import { makeData } from "./ground-data.ts";
import { makeModels } from "./ground-models.ts";
import { runPrograms } from "./ground-quantum.ts";
import { askForTheRest } from "./ground-rest.ts";
import { makeRuns } from "./ground-tracking.ts";

/** What is really there, so that requests come deep. */
export interface FuzzGround {
  /** The good requests that made it, by their route. */
  readonly recorded: ReadonlyMap<Route, readonly FuzzRequest[]>;
  /** What answers and paths had under a name: `run_id`, or `deployments.name` for what stands behind a segment. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

const valuesPerName = 40;

/** What makes the ground, and writes down how. */
export interface GroundClient {
  /** @throws Error for what is not taken. */
  send(
    method: string,
    target: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Reply>;
  mlflow(call: string, body: object, method?: string): Promise<Json>;
  /** Submits a job and waits for its end. @returns its id */
  job(target: string, body: object, method?: string): Promise<string>;
  /** Waits for the job of an upload. */
  settled(reply: Reply): Promise<void>;
  /** The name of a thing in this round. */
  named(name: string): string;
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON. */
  readonly body: Json;
}
type Json = { readonly [key: string]: Json } & readonly Json[] & string;

/**
 * Makes an experiment with runs, a model with versions and an alias, a deployment, a data set, a training, monitors,
 * batch predictions, webhooks, tokens, uploads in parts and quantum jobs on both planes.
 *
 * @param round makes names of their own, so that what was deleted can be made once more
 */
export async function buildGround(url: string, routes: readonly Route[], round: number): Promise<FuzzGround> {
  const recorded = new Map<Route, FuzzRequest[]>();
  const values = new Map<string, string[]>();
  const matchers = routes.map((route) => ({ route, pattern: patternOf(route.path) }));

  const note = (name: string, value: string) => {
    const known = values.get(name) ?? [];
    if (!known.includes(value)) values.set(name, [value, ...known].slice(0, valuesPerName));
  };
  const noteAll = (json: unknown, name = ""): void => {
    if (typeof json === "string" && json.length <= 2000) note(name, json);
    else if (typeof json === "number") note(name, String(json));
    else if (Array.isArray(json)) for (const item of json.slice(0, 20)) noteAll(item, name);
    else if (typeof json === "object" && json !== null) {
      for (const [key, value] of Object.entries(json)) noteAll(value, key);
    }
  };

  async function send(
    method: string,
    target: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reply> {
    const isRaw = body instanceof Uint8Array || typeof body === "string";
    const bytes = body === undefined ? undefined : Buffer.from(isRaw ? body : JSON.stringify(body));
    const all = {
      ...(body === undefined || isRaw ? {} : { "content-type": "application/json" }),
      ...headers,
    };
    const response = await fetch(new URL(target, url), {
      method,
      headers: all,
      ...(bytes === undefined ? {} : { body: new Uint8Array(bytes) }),
    });
    const text = await response.text();
    if (response.status >= 400) throw new Error(`${method} ${target} answered ${response.status}: ${text}`);
    const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
    const json = isJson && text !== "" ? JSON.parse(text) : text;
    noteAll(json);
    if (isJson && typeof body === "object" && !isRaw) noteAll(body);
    const { pathname, search } = new URL(target, url);
    // MLflow's page asks for the same below another prefix.
    for (const twin of new Set([pathname, pathname.replace(/^\/api\/2/, "/ajax-api/2")])) {
      record({ method, target: twin + search, headers: all, body: bytes }, twin);
    }
    return { status: response.status, headers: response.headers, body: json };
  }

  function record(request: FuzzRequest, pathname: string): void {
    for (const { route, pattern } of matchers) {
      const match = route.method === request.method ? pattern.exec(pathname) : null;
      if (match === null) continue;
      recorded.set(route, [...(recorded.get(route) ?? []), request]);
      for (const [name, value] of Object.entries(match.groups ?? {})) {
        const segments = route.path.split(`/:${name}`)[0]?.split("/") ?? [];
        note(`${segments.at(-1) ?? ""}.${name}`, decodeURIComponent(value));
      }
      return;
    }
  }

  const mlflow = (call: string, body: object, method = "POST") =>
    send(method, `/api/2.0/mlflow/${call}`, body).then(({ body }) => body);
  const job = async (target: string, body: object, method = "POST") => {
    const { body: submitted } = await send(method, target, body);
    const id = String(submitted.id);
    for (let tries = 0; tries < 600; tries++) {
      const { body: now } = await send("GET", `/api/v1/jobs/${id}`);
      if (["succeeded", "failed", "cancelled"].includes(String(now.state))) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return id;
  };
  const named = (name: string) => `${name}-${round}`;

  const client: GroundClient = { send, mlflow, job, named, settled };
  for (const make of [makeRuns, makeModels, makeData, runPrograms, askForTheRest]) await make(client);
  return { recorded, values };

  /** An upload becomes a version by a job. */
  async function settled(reply: Reply): Promise<void> {
    const found = /"(?:jobId|id)":"([0-9a-f-]{36})"/.exec(JSON.stringify(reply.body))?.[1];
    for (let tries = 0; found !== undefined && tries < 300; tries++) {
      const { body } = await send("GET", `/api/v1/jobs/${found}`).catch(() => ({
        body: { state: "failed" } as unknown as Json,
      }));
      if (["succeeded", "failed", "cancelled"].includes(String(body.state))) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function patternOf(route: string): RegExp {
  const source = route
    .replace(/[.]/g, "\\.")
    .replace(/:(\w+)(\{[^}]*\})?/g, (_, name: string, rest?: string) => {
      return rest === undefined ? `(?<${name}>[^/]+)` : `(?<${name}>.+)`;
    });
  return new RegExp(`^${source}$`);
}

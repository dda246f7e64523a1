import type { Hono } from "hono";
import { loadConfig } from "../../../shared/config.ts";
import {
  type ApplicationOptions,
  createApplication,
  type RequestObservation,
  type Route,
  route,
} from "../../../shared/http/index.ts";
import type { RouteSpec } from "../../../shared/http/route.ts";
import type { Actor, Identity, Role } from "../../../shared/identity/index.ts";
import { createLogger } from "../../../shared/telemetry/index.ts";

/** The header `x-role` says who calls; without it nobody does. */
const identity: Identity = {
  authenticate: async (request) => {
    const role = request.headers.get("x-role") as Role | null;
    return role === null ? null : actorOf(role);
  },
};

export const actorOf = (role: Role): Actor => ({ id: role, name: role, role, source: "token" });

export interface HttpGround {
  readonly app: Hono;
  readonly logged: Record<string, unknown>[];
  readonly observed: RequestObservation[];
}

export function httpGround(routes: readonly Route[], more: Partial<ApplicationOptions> = {}): HttpGround {
  const logged: Record<string, unknown>[] = [];
  const observed: RequestObservation[] = [];
  const logger = createLogger(loadConfig({ KETLINE_LOG_LEVEL: "debug" }), {
    write: (line) => void logged.push(JSON.parse(line)),
  });
  const observe = (observation: RequestObservation) => void observed.push(observation);
  return { app: createApplication({ routes, identity, logger, observe, ...more }), logged, observed };
}

type AnyRoute = RouteSpec<unknown, unknown, unknown>;

/** A route at /thing for viewers that answers what `handle` returns. */
export function thing(more: Partial<AnyRoute> & Pick<AnyRoute, "handle">): Route {
  return route({
    method: "GET",
    path: "/thing",
    protocol: "ketline",
    role: "viewer",
    tag: "Things",
    summary: "A thing",
    responses: { 200: { description: "It" } },
    ...more,
  });
}

export const asViewer = { "x-role": "viewer" };

import type { z } from "zod";
import { type Call, type Reply, type Route, type RouteResponse, route } from "../../../shared/http/index.ts";
import type { Role } from "../../../shared/identity/index.ts";

/** A route that speaks bytes, or has no fixed prefix; MLflow's error format, no time limit. */
export function fileRoute(spec: {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  readonly role: Role;
  readonly summary: string;
  /** What the handler reads itself, from the query of a GET. */
  readonly accepts?: z.ZodType;
  readonly bodyTypes?: readonly string[];
  readonly responses: Readonly<Record<number, RouteResponse>>;
  handle(call: Call): Promise<Reply> | Reply;
}): Route {
  return route({
    ...spec,
    protocol: "mlflow",
    tag: "MLflow",
    ...(spec.method === "GET" ? {} : { body: "stream" as const }),
    timeoutMs: 0,
    handle: (call) => spec.handle(call as Call),
  });
}

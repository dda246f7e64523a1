import type { z } from "zod";
import { type Call, json, type Reply, type Route, route } from "../http/index.ts";
import type { Role } from "../identity/actor.ts";
import { readRequest } from "./request.ts";

export interface MlflowRouteSpec<Request> {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below `/api/2.0/mlflow`, e.g. `/runs/create`. */
  readonly path: string;
  readonly role: Role;
  readonly summary: string;
  readonly request: z.ZodType<Request>;
  readonly maxBodyBytes?: number;
  /** @returns the answer's JSON, or a whole reply. */
  handle(request: Request, call: Call): Promise<object>;
}

/** The prefixes that MLflow's Python client and its web page use for the same calls. */
export const mlflowPrefixes = ["/api/2.0", "/ajax-api/2.0"] as const;

/** Declares one call of MLflow's REST API, mounted under both of its prefixes. */
export function mlflowRoute<Request>(spec: MlflowRouteSpec<Request>): Route[] {
  return mlflowPrefixes.map((prefix) =>
    route({
      method: spec.method,
      path: `${prefix}/mlflow${spec.path}`,
      protocol: "mlflow",
      role: spec.role,
      summary: spec.summary,
      tag: "MLflow",
      ...(spec.method === "GET" ? {} : { body: "stream" as const }),
      responses: { 200: { description: "As MLflow's REST API describes it" } },
      handle: async (call): Promise<Reply> => {
        const request = await readRequest(spec.request, call as Call, spec.maxBodyBytes);
        const answer = await spec.handle(request, call as Call);
        return answer instanceof Response ? answer : json(answer);
      },
    }),
  );
}

import type { z } from "zod";
import { type DirectCall, directRoute, json, type Route } from "../http/index.ts";
import type { Role } from "../identity/index.ts";
import { answerOf } from "./answers.ts";
import { readRequest } from "./request.ts";

export interface MlflowRouteSpec<Request> {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below `/api/2.0/mlflow`, e.g. `/runs/create`. */
  readonly path: string;
  readonly role: Role;
  readonly summary: string;
  readonly request: z.ZodType<Request>;
  readonly maxBodyBytes?: number;
  /** @returns the answer's JSON. */
  handle(request: Request, call: DirectCall): Promise<object>;
}

/** The prefixes that MLflow's Python client and its web page use for the same calls. */
export const mlflowPrefixes = ["/api/2.0", "/ajax-api/2.0"] as const;

/** Declares one call of MLflow's REST API, mounted under both of its prefixes. */
export function mlflowRoute<Request>(spec: MlflowRouteSpec<Request>): Route[] {
  return mlflowPrefixes.map((prefix) =>
    directRoute({
      method: spec.method,
      path: `${prefix}/mlflow${spec.path}`,
      protocol: "mlflow",
      role: spec.role,
      summary: spec.summary,
      tag: "MLflow",
      accepts: spec.request,
      responses: {
        200: {
          description: "As MLflow's REST API describes it",
          schema: answerOf(spec.method, spec.path),
        },
      },
      handle: async (call) =>
        json(await spec.handle(await readRequest(spec.request, call, spec.maxBodyBytes), call)),
    }),
  );
}

import { z } from "zod";
import { notFound } from "../../../shared/errors.ts";
import type { Method } from "../../../shared/http/index.ts";
import { json, type Route, route } from "../../../shared/http/index.ts";

const prefixes = ["/api/3.0/mlflow", "/ajax-api/3.0/mlflow"] as const;

const ServerInfo = z.object({
  store_type: z.string(),
  workspaces_enabled: z.boolean(),
  trace_archival_enabled: z.boolean(),
  multipart_uploads_enabled: z.boolean(),
  multipart_downloads_enabled: z.boolean(),
  features_enabled: z.object({ gateway: z.boolean() }),
});

/**
 * What newer clients ask before they begin, and an answer to the calls of MLflow's GenAI side. Mounted after all other
 * routes of MLflow.
 *
 * @param offersLinks whether clients are asked to use signed links for large files by themselves
 */
export function serverRoutes({ offersLinks }: { readonly offersLinks: boolean }): Route[] {
  const info = prefixes.map((prefix) =>
    route({
      method: "GET",
      path: `${prefix}/server-info`,
      protocol: "mlflow",
      role: "public",
      summary: "What this server can do",
      tag: "MLflow",
      responses: { 200: { description: "As MLflow's server answers", schema: ServerInfo } },
      // Newer clients use what is announced here without being asked. Links pay where they lead past this server, and past
      // the limit that Azure Functions puts on a body; one stream is faster where they lead back to it. A client that
      // asks for links (MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD) gets them in either case.
      handle: () =>
        json({
          store_type: "SqlStore",
          workspaces_enabled: false,
          trace_archival_enabled: false,
          multipart_uploads_enabled: offersLinks,
          multipart_downloads_enabled: offersLinks,
          features_enabled: { gateway: false },
        }),
    }),
  );
  const methods: readonly Method[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
  const genai = [
    ...prefixes.map((prefix) => `${prefix}/:rest{.+}`),
    "/api/2.0/mlflow/traces",
    "/api/2.0/mlflow/traces/:rest{.+}",
    "/ajax-api/2.0/mlflow/traces",
    "/ajax-api/2.0/mlflow/traces/:rest{.+}",
  ];
  return [...info, ...genai.flatMap((path) => methods.map((method) => notServed(method, path)))];
}

function notServed(method: Method, path: string): Route {
  return route({
    method,
    path,
    protocol: "mlflow",
    role: "viewer",
    summary: "MLflow's GenAI side, which is not served",
    tag: "MLflow",
    ...(method === "GET" ? {} : { body: "stream" as const }),
    responses: {}, // 404, with the code ENDPOINT_NOT_FOUND
    handle: () => {
      throw notFound(
        "Ketline serves MLflow's tracking, artifacts and model registry; traces, evaluation data sets, scorers, prompts and the AI gateway are not part of it.",
        { code: "ENDPOINT_NOT_FOUND" },
      );
    },
  });
}

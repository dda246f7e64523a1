import { type Call, json, type Reply, type Route } from "../../../shared/http/index.ts";
import {
  downloadAnswers,
  downloadReply,
  fileAnswers,
  many,
  mlflowPrefixes,
  mlflowRoute,
  readRequest,
} from "../../../shared/mlflow/index.ts";
import { artifactKey, joinUri, prefixOf, safeSegments } from "../artifacts/artifact-uris.ts";
import { deleteArtifacts, listDirectory, putArtifact, statArtifact } from "../artifacts/artifacts.ts";
import { storeOf, type TrackingContext } from "../context.ts";
import { requireLoggedModel } from "../logged-models.ts";
import { requireRun } from "../runs.ts";
import { GetArtifact, GetModelArtifact, ListArtifacts, ListProxiedArtifacts } from "../schemas.ts";
import { fileJson } from "../wire.ts";
import { fileRoute } from "./file-route.ts";
import { uploadRoutes } from "./uploads.ts";

/** Files: listed by run, and as the proxy of the artifact store that `mlflow-artifacts:` URIs stand for. */
export function artifactRoutes(context: TrackingContext): Route[] {
  const { blobs } = context;
  return [
    ...mlflowRoute({
      method: "GET",
      path: "/artifacts/list",
      role: "viewer",
      summary: "List the artifacts of a run",
      request: ListArtifacts,
      handle: async ({ run_id, path = "" }) => {
        const directory = safeSegments(path).join("/");
        const { artifact_uri } = await requireRun(storeOf(context), run_id);
        const files = await listDirectory(blobs, prefixOf(joinUri(artifact_uri, directory)));
        return { root_uri: artifact_uri, files: many(files.map((file) => fileJson(file, directory))) };
      },
    }),
    ...mlflowPrefixes.map((prefix) =>
      fileRoute({
        method: "GET",
        path: `${prefix}/mlflow/logged-models/:model_id/artifacts/files`,
        role: "viewer",
        summary: "Download a file of a logged model",
        accepts: GetModelArtifact,
        responses: downloadAnswers,
        handle: async (call) => {
          const { model_id, artifact_file_path: path } = await readRequest(GetModelArtifact, call);
          const { artifact_uri } = await requireLoggedModel(storeOf(context), model_id);
          return download(context, prefixOf(joinUri(artifact_uri, path)), path, call);
        },
      }),
    ),
    fileRoute({
      method: "GET",
      path: "/get-artifact",
      role: "viewer",
      summary: "Download an artifact of a run",
      accepts: GetArtifact,
      responses: downloadAnswers,
      handle: async (call) => {
        const { run_id, path } = await readRequest(GetArtifact, call);
        safeSegments(path);
        const { artifact_uri } = await requireRun(storeOf(context), run_id);
        return download(context, prefixOf(joinUri(artifact_uri, path)), path, call);
      },
    }),
    ...mlflowPrefixes.flatMap((prefix) => proxyRoutes(context, `${prefix}/mlflow-artifacts`)),
  ];
}

function proxyRoutes(context: TrackingContext, prefix: string): Route[] {
  const { blobs } = context;
  const pathOf = (call: Call) => call.params.path ?? "";
  return [
    fileRoute({
      method: "GET",
      path: `${prefix}/artifacts`,
      role: "viewer",
      summary: "List a directory of artifacts",
      accepts: ListProxiedArtifacts,
      responses: { 200: { description: "As MLflow's REST API describes it", schema: fileAnswers.list } },
      handle: async (call) => {
        const { path = "" } = await readRequest(ListProxiedArtifacts, call);
        const files = await listDirectory(blobs, artifactKey(path));
        return json({ files: many(files.map((file) => fileJson(file, ""))) });
      },
    }),
    fileRoute({
      method: "GET",
      path: `${prefix}/artifacts/:path{.+}`,
      role: "viewer",
      summary: "Download an artifact, whole or a range of it",
      responses: downloadAnswers,
      handle: (call) => download(context, artifactKey(pathOf(call)), pathOf(call), call),
    }),
    fileRoute({
      method: "PUT",
      path: `${prefix}/artifacts/:path{.+}`,
      role: "contributor",
      summary: "Upload an artifact",
      responses: { 200: { description: "As MLflow's REST API describes it", schema: fileAnswers.nothing } },
      handle: async (call) => {
        const stored = await putArtifact(context, pathOf(call), call.request.body ?? new Uint8Array(0), {
          signal: call.signal,
        });
        return json({}, 200, { "x-checksum-sha256": stored.sha256 });
      },
    }),
    fileRoute({
      method: "DELETE",
      path: `${prefix}/artifacts/:path{.+}`,
      role: "contributor",
      summary: "Delete an artifact, or a directory of them",
      responses: { 200: { description: "As MLflow's REST API describes it", schema: fileAnswers.nothing } },
      handle: async (call) => {
        await deleteArtifacts(context, artifactKey(pathOf(call)));
        return json({});
      },
    }),
    ...uploadRoutes(context, prefix),
  ];
}

async function download(context: TrackingContext, key: string, shown: string, call: Call): Promise<Reply> {
  return downloadReply(context.blobs, await statArtifact(context.blobs, key, shown), shown, call.request);
}

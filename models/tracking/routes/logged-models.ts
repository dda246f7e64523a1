import type { Route } from "../../../shared/http/index.ts";
import { many, mlflowRoute } from "../../../shared/mlflow/index.ts";
import { prefixOf, safeSegments } from "../artifacts/artifact-uris.ts";
import { listDirectory } from "../artifacts/artifacts.ts";
import { storeOf, type TrackingContext } from "../context.ts";
import {
  createLoggedModel,
  deleteLoggedModel,
  deleteLoggedModelTag,
  finalizeLoggedModel,
  getLoggedModel,
  logLoggedModelParams,
  requireLoggedModel,
  searchLoggedModels,
  setLoggedModelTags,
} from "../logged-models.ts";
import {
  CreateLoggedModel,
  DeleteLoggedModelTag,
  FinalizeLoggedModel,
  GetLoggedModel,
  ListLoggedModelArtifacts,
  LogLoggedModelParams,
  ModelOnly,
  SearchLoggedModels,
  SetLoggedModelTags,
} from "../schemas.ts";
import { fileJson, loggedModelJson } from "../wire.ts";

export function loggedModelRoutes(context: TrackingContext): Route[] {
  return [
    mlflowRoute({
      method: "POST",
      path: "/logged-models",
      role: "contributor",
      summary: "Create a logged model",
      request: CreateLoggedModel,
      handle: async (request) => ({ model: loggedModelJson(await createLoggedModel(context, request)) }),
    }),
    mlflowRoute({
      method: "POST",
      path: "/logged-models/search",
      role: "viewer",
      summary: "Search logged models",
      request: SearchLoggedModels,
      handle: async (request) => {
        const { models, nextPageToken } = await searchLoggedModels(context, request);
        return { models: many(models.map(loggedModelJson)), next_page_token: nextPageToken };
      },
    }),
    mlflowRoute({
      method: "GET",
      path: "/logged-models/:model_id",
      role: "viewer",
      summary: "Get a logged model",
      request: GetLoggedModel,
      handle: async ({ model_id, allow_deleted }) => ({
        model: loggedModelJson(await getLoggedModel(context, model_id, { allowDeleted: allow_deleted })),
      }),
    }),
    mlflowRoute({
      method: "PATCH",
      path: "/logged-models/:model_id",
      role: "contributor",
      summary: "Say that a logged model is ready, or failed",
      request: FinalizeLoggedModel,
      handle: async ({ model_id, status }) => ({
        model: loggedModelJson(await finalizeLoggedModel(context, model_id, status)),
      }),
    }),
    mlflowRoute({
      method: "DELETE",
      path: "/logged-models/:model_id",
      role: "contributor",
      summary: "Delete a logged model",
      request: ModelOnly,
      handle: async ({ model_id }, { actor }) => {
        await deleteLoggedModel(context, model_id, actor);
        return {};
      },
    }),
    mlflowRoute({
      method: "PATCH",
      path: "/logged-models/:model_id/tags",
      role: "contributor",
      summary: "Set tags of a logged model",
      request: SetLoggedModelTags,
      handle: async ({ model_id, tags }) => {
        await setLoggedModelTags(context, model_id, tags);
        return {};
      },
    }),
    mlflowRoute({
      method: "DELETE",
      path: "/logged-models/:model_id/tags/:tag_key{.+}",
      role: "contributor",
      summary: "Delete a tag of a logged model",
      request: DeleteLoggedModelTag,
      handle: async ({ model_id, tag_key }) => {
        await deleteLoggedModelTag(context, model_id, tag_key);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/logged-models/:model_id/params",
      role: "contributor",
      summary: "Log parameters of a logged model",
      request: LogLoggedModelParams,
      handle: async ({ model_id, params }) => {
        await logLoggedModelParams(context, model_id, params);
        return {};
      },
    }),
    mlflowRoute({
      method: "GET",
      path: "/logged-models/:model_id/artifacts/directories",
      role: "viewer",
      summary: "List the files of a logged model",
      request: ListLoggedModelArtifacts,
      handle: async ({ model_id, artifact_directory_path }) => {
        const { artifact_uri } = await requireLoggedModel(storeOf(context), model_id);
        const directory = safeSegments(artifact_directory_path ?? "").join("/");
        const prefix = [prefixOf(artifact_uri), directory].filter((part) => part !== "").join("/");
        const files = await listDirectory(context.blobs, prefix);
        return { root_uri: artifact_uri, files: many(files.map((file) => fileJson(file, directory))) };
      },
    }),
  ].flat();
}

import type { DirectCall, Route } from "../../../shared/http/index.ts";
import { many, mlflowRoute } from "../../../shared/mlflow/index.ts";
import { deleteAlias, getByAlias, setAlias } from "../aliases.ts";
import type { ChangeBy, RegistryContext } from "../context.ts";
import {
  createModel,
  deleteModel,
  deleteModelTag,
  describeModel,
  getModel,
  renameModel,
  searchModels,
  setModelTag,
} from "../models.ts";
import { versionNumber } from "../names.ts";
import {
  CreateModel,
  DeleteModelTag,
  GetAlias,
  GetModel,
  LatestVersions,
  RenameModel,
  SearchModels,
  SetAlias,
  SetModelTag,
  UpdateModel,
} from "../schemas.ts";
import { latestVersions } from "../versions.ts";
import { modelJson, versionJson } from "../wire.ts";

/** MLflow's requests have no room for a reason; a header may carry it. */
export function changeBy(call: Pick<DirectCall, "request" | "actor">): ChangeBy {
  const reason = call.request.headers.get("x-ketline-reason")?.slice(0, 1000);
  return reason === undefined || reason === "" ? { actor: call.actor } : { actor: call.actor, reason };
}

export function modelRoutes(context: RegistryContext): Route[] {
  return [
    mlflowRoute({
      method: "POST",
      path: "/registered-models/create",
      role: "contributor",
      summary: "Create a registered model",
      request: CreateModel,
      handle: async (request, call) => ({
        registered_model: modelJson(await createModel(context, request, changeBy(call))),
      }),
    }),
    mlflowRoute({
      method: "GET",
      path: "/registered-models/get",
      role: "viewer",
      summary: "Get a registered model",
      request: GetModel,
      handle: async ({ name }) => ({ registered_model: modelJson(await getModel(context, name)) }),
    }),
    mlflowRoute({
      method: "GET",
      path: "/registered-models/search",
      role: "viewer",
      summary: "Search registered models",
      request: SearchModels,
      handle: async (request) => {
        const { models, nextPageToken } = await searchModels(context, request);
        return { registered_models: many(models.map(modelJson)), next_page_token: nextPageToken };
      },
    }),
    mlflowRoute({
      method: "PATCH",
      path: "/registered-models/update",
      role: "contributor",
      summary: "Describe a registered model",
      request: UpdateModel,
      handle: async ({ name, description }, call) => ({
        registered_model: modelJson(await describeModel(context, name, description, changeBy(call))),
      }),
    }),
    mlflowRoute({
      method: "POST",
      path: "/registered-models/rename",
      role: "operator",
      summary: "Rename a registered model",
      request: RenameModel,
      handle: async ({ name, new_name }, call) => ({
        registered_model: modelJson(await renameModel(context, name, new_name, changeBy(call))),
      }),
    }),
    mlflowRoute({
      method: "DELETE",
      path: "/registered-models/delete",
      role: "operator",
      summary: "Delete a registered model and its versions for good",
      request: GetModel,
      handle: async ({ name }, call) => {
        await deleteModel(context, name, changeBy(call));
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/registered-models/set-tag",
      role: "contributor",
      summary: "Set a tag of a registered model",
      request: SetModelTag,
      handle: async ({ name, ...tag }, call) => {
        await setModelTag(context, name, tag, changeBy(call));
        return {};
      },
    }),
    mlflowRoute({
      method: "DELETE",
      path: "/registered-models/delete-tag",
      role: "contributor",
      summary: "Delete a tag of a registered model",
      request: DeleteModelTag,
      handle: async ({ name, key }, call) => {
        await deleteModelTag(context, name, key, changeBy(call));
        return {};
      },
    }),
    ...(["GET", "POST"] as const).map((method) =>
      mlflowRoute({
        method,
        path: "/registered-models/get-latest-versions",
        role: "viewer",
        summary: "The newest version in each stage",
        request: LatestVersions,
        handle: async ({ name, stages }) => ({
          model_versions: many((await latestVersions(context, name, stages)).map(versionJson)),
        }),
      }),
    ),
    ...aliasRoutes(context),
  ].flat();
}

function aliasRoutes(context: RegistryContext): Route[] {
  const path = "/registered-models/alias";
  return [
    mlflowRoute({
      method: "GET",
      path,
      role: "viewer",
      summary: "The version that an alias points at",
      request: GetAlias,
      handle: async ({ name, alias }) => ({
        model_version: versionJson(await getByAlias(context, name, alias)),
      }),
    }),
    mlflowRoute({
      method: "POST",
      path,
      role: "operator",
      summary: "Point an alias at a version",
      request: SetAlias,
      handle: async ({ name, alias, version }, call) => {
        await setAlias(context, name, alias, versionNumber(version), changeBy(call));
        return {};
      },
    }),
    mlflowRoute({
      method: "DELETE",
      path,
      role: "operator",
      summary: "Delete an alias",
      request: GetAlias,
      handle: async ({ name, alias }, call) => {
        await deleteAlias(context, name, alias, changeBy(call));
        return {};
      },
    }),
  ].flat();
}

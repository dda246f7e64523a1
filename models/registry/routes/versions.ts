import { type Call, type Route, route } from "../../../shared/http/index.ts";
import {
  downloadAnswers,
  downloadReply,
  many,
  mlflowRoute,
  readRequest,
} from "../../../shared/mlflow/index.ts";
import { prefixOf, safeSegments, statArtifact } from "../../tracking/index.ts";
import { type RegistryContext, storeOf } from "../context.ts";
import { versionNumber } from "../names.ts";
import {
  CreateVersion,
  DeleteVersionTag,
  GetVersion,
  GetVersionFile,
  SearchVersions,
  SetVersionTag,
  TransitionStage,
  UpdateVersion,
} from "../schemas.ts";
import {
  createVersion,
  deleteVersion,
  deleteVersionTag,
  describeVersion,
  getVersion,
  requireVersion,
  searchVersions,
  setVersionTag,
  transitionStage,
} from "../versions.ts";
import { versionJson } from "../wire.ts";
import { changeBy } from "./models.ts";

export function versionRoutes(context: RegistryContext): Route[] {
  return [
    mlflowRoute({
      method: "POST",
      path: "/model-versions/create",
      role: "contributor",
      summary: "Register the next version of a model",
      request: CreateVersion,
      handle: async (request, call) => ({
        model_version: versionJson(
          await createVersion(
            context,
            {
              name: request.name,
              source: request.source,
              runId: request.run_id,
              runLink: request.run_link,
              loggedModelId: request.model_id,
              description: request.description,
              tags: request.tags,
            },
            changeBy(call),
          ),
        ),
      }),
    }),
    mlflowRoute({
      method: "GET",
      path: "/model-versions/get",
      role: "viewer",
      summary: "Get a version",
      request: GetVersion,
      handle: async ({ name, version }) => ({
        model_version: versionJson(await getVersion(context, name, versionNumber(version))),
      }),
    }),
    mlflowRoute({
      method: "GET",
      path: "/model-versions/get-download-uri",
      role: "viewer",
      summary: "Where a version's files are",
      request: GetVersion,
      handle: async ({ name, version }) => {
        const row = await requireVersion(storeOf(context), name, versionNumber(version));
        return { artifact_uri: row.storage_location };
      },
    }),
    mlflowRoute({
      method: "GET",
      path: "/model-versions/search",
      role: "viewer",
      summary: "Search versions",
      request: SearchVersions,
      handle: async (request) => {
        const { versions, nextPageToken } = await searchVersions(context, request);
        return { model_versions: many(versions.map(versionJson)), next_page_token: nextPageToken };
      },
    }),
    mlflowRoute({
      method: "PATCH",
      path: "/model-versions/update",
      role: "contributor",
      summary: "Describe a version",
      request: UpdateVersion,
      handle: async ({ name, version, description }, call) => ({
        model_version: versionJson(
          await describeVersion(context, name, versionNumber(version), description, changeBy(call)),
        ),
      }),
    }),
    mlflowRoute({
      method: "POST",
      path: "/model-versions/transition-stage",
      role: "operator",
      summary: "Move a version to a stage",
      request: TransitionStage,
      handle: async ({ name, version, stage, archive_existing_versions }, call) => ({
        model_version: versionJson(
          await transitionStage(
            context,
            name,
            versionNumber(version),
            { stage, archiveExisting: archive_existing_versions },
            changeBy(call),
          ),
        ),
      }),
    }),
    mlflowRoute({
      method: "DELETE",
      path: "/model-versions/delete",
      role: "operator",
      summary: "Delete a version for good",
      request: GetVersion,
      handle: async ({ name, version }, call) => {
        await deleteVersion(context, name, versionNumber(version), changeBy(call));
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/model-versions/set-tag",
      role: "contributor",
      summary: "Set a tag of a version",
      request: SetVersionTag,
      handle: async ({ name, version, ...tag }, call) => {
        await setVersionTag(context, name, versionNumber(version), tag, changeBy(call));
        return {};
      },
    }),
    mlflowRoute({
      method: "DELETE",
      path: "/model-versions/delete-tag",
      role: "contributor",
      summary: "Delete a tag of a version",
      request: DeleteVersionTag,
      handle: async ({ name, version, key }, call) => {
        await deleteVersionTag(context, name, versionNumber(version), key, changeBy(call));
        return {};
      },
    }),
    route({
      method: "GET",
      path: "/model-versions/get-artifact",
      protocol: "mlflow",
      role: "viewer",
      summary: "Download a file of a version",
      accepts: GetVersionFile,
      tag: "MLflow",
      timeoutMs: 0,
      responses: downloadAnswers,
      handle: async (call) => {
        const { name, version, path } = await readRequest(GetVersionFile, call as Call);
        const segments = safeSegments(path);
        const row = await requireVersion(storeOf(context), name, versionNumber(version));
        const key = [prefixOf(row.storage_location), ...segments].join("/");
        const stat = await statArtifact(context.blobs, key, path);
        return downloadReply(context.blobs, stat, path, call.request);
      },
    }),
  ].flat();
}

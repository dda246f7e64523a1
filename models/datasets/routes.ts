import { decodeCursor, json, page, type Route, route } from "../../shared/http/index.ts";
import { JobSchema } from "../../shared/jobs/index.ts";
import type { DatasetOperations } from "./datasets.ts";
import {
  DatasetPage,
  DatasetParams,
  DatasetPosition,
  DatasetSchema,
  DatasetsQuery,
  DeletedVersionParams,
  DeleteQuery,
  NewUpload,
  ProfiledVersion,
  PutDatasetBody,
  RegistrationSchema,
  UploadParams,
  UploadSchema,
  VersionPage,
  VersionParams,
  VersionPosition,
  VersionsQuery,
} from "./schemas.ts";

const tag = "Datasets";
const protocol = "ketline" as const;
const deletion = {
  protocol,
  tag,
  role: "operator",
  timeoutMs: 120_000,
  responses: { 204: { description: "It is gone" } },
} as const;

export function datasetRoutes(datasets: DatasetOperations): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/api/v1/datasets",
      protocol,
      tag,
      role: "viewer",
      summary: "List data sets in the order of their names",
      query: DatasetsQuery,
      responses: { 200: { description: "One page of data sets", schema: DatasetPage } },
      handle: async ({ query: { limit, cursor } }) => {
        const found = await datasets.list(decodeCursor(DatasetPosition, cursor)?.name, limit + 1);
        return json(
          page(
            found,
            limit,
            (dataset) => dataset,
            ({ name }) => ({ name }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/datasets/:name",
      protocol,
      tag,
      role: "viewer",
      summary: "Read a data set",
      params: DatasetParams,
      responses: { 200: { description: "The data set", schema: DatasetSchema } },
      handle: async ({ params }) => json(await datasets.get(params.name)),
    }),
    route({
      method: "PUT",
      path: "/api/v1/datasets/:name",
      protocol,
      tag,
      role: "contributor",
      summary: "Describe a data set and say what is expected of its versions",
      description:
        "Expectations hold for versions registered from then on. Makes the data set when there is none.",
      params: DatasetParams,
      body: PutDatasetBody,
      responses: { 200: { description: "The data set", schema: DatasetSchema } },
      handle: async ({ params, body, actor }) => json(await datasets.put(params.name, body, actor)),
    }),
    route({
      method: "DELETE",
      path: "/api/v1/datasets/:name",
      ...deletion,
      summary: "Delete a data set with all of its versions",
      description: "Refused, with those who use it, while somebody uses a version.",
      params: DatasetParams,
      query: DeleteQuery,
      handle: async ({ params, query, actor }) => {
        await datasets.deleteDataset(params.name, { actor, reason: query.reason });
        return new Response(null, { status: 204 });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/datasets/:name/versions",
      protocol,
      tag,
      role: "contributor",
      summary: "Register a version from the content in the body",
      description:
        "The version is the SHA-256 of the content. 202 with the job that reads and profiles it; 200 when this content is " +
        "registered and ready already. Makes the data set when there is none of that name.",
      params: DatasetParams,
      query: NewUpload,
      body: "stream",
      timeoutMs: 0,
      responses: {
        200: { description: "Registered before", schema: RegistrationSchema },
        202: { description: "Registered, to be profiled", schema: RegistrationSchema },
      },
      handle: async ({ params, query: { format, ...options }, request, actor, signal }) => {
        const body = request.body ?? new Uint8Array(0);
        const registered = await datasets.register({
          dataset: params.name,
          format,
          options,
          body,
          actor,
          signal,
        });
        return json(registered, registered.job === null ? 200 : 202);
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/datasets/:name/versions",
      protocol,
      tag,
      role: "viewer",
      summary: "List the versions of a data set, newest first",
      params: DatasetParams,
      query: VersionsQuery,
      responses: { 200: { description: "One page of versions", schema: VersionPage } },
      handle: async ({ params, query: { limit, cursor, state } }) => {
        const before = decodeCursor(VersionPosition, cursor)?.number;
        const found = await datasets.listVersions(params.name, state, before, limit + 1);
        return json(
          page(
            found,
            limit,
            (version) => version,
            ({ number }) => ({ number }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/datasets/:name/versions/:version",
      protocol,
      tag,
      role: "viewer",
      summary: "Read a version with its profile",
      params: VersionParams,
      responses: { 200: { description: "The version", schema: ProfiledVersion } },
      handle: async ({ params }) => {
        const version = await datasets.getVersion(params.name, params.version);
        return json({ ...version, profile: await datasets.profileOf(version) });
      },
    }),
    route({
      method: "DELETE",
      path: "/api/v1/datasets/:name/versions/:version",
      ...deletion,
      summary: "Delete a version with its content and its profile",
      description:
        "Refused, with those who use it, while a job reads it, a run or a model version that was trained on it is there, a " +
        "monitor refers to it, or predictions made from it are a version of a data set. `latest` is the newest that remains; the same content may be registered again.",
      params: DeletedVersionParams,
      query: DeleteQuery,
      handle: async ({ params, query, actor }) => {
        await datasets.deleteVersion(params.name, params.version, { actor, reason: query.reason });
        return new Response(null, { status: 204 });
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/datasets/:name/versions/:version/content",
      protocol,
      tag,
      role: "viewer",
      summary: "Download a version as it was uploaded",
      params: VersionParams,
      responses: { 302: { description: "To a signed link that holds for a quarter of an hour" } },
      handle: async ({ params, baseUrl }) => {
        const version = await datasets.getVersion(params.name, params.version);
        const location = await datasets.contentUrl(version, baseUrl);
        return new Response(null, { status: 302, headers: { location, "cache-control": "no-store" } });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/datasets/:name/uploads",
      protocol,
      tag,
      role: "contributor",
      summary: "Ask for a link to upload the content of a version to",
      description:
        "For large files: they go straight to the store. PUT the content to `url`, then complete the upload.",
      params: DatasetParams,
      body: NewUpload,
      responses: { 201: { description: "Where to send the content", schema: UploadSchema } },
      handle: async ({ params, body, baseUrl, actor }) => {
        const { id, url, expiresMs } = await datasets.startUpload(params.name, body, baseUrl, actor);
        const headers = { "x-ms-blob-type": "BlockBlob" };
        return json({ id, url, method: "PUT", headers, expiresMs }, 201);
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/datasets/:name/uploads/:id/complete",
      protocol,
      tag,
      role: "contributor",
      summary: "Register what was uploaded as a version",
      params: UploadParams,
      responses: { 202: { description: "The job that hashes, reads and profiles it", schema: JobSchema } },
      handle: async ({ params, actor }) =>
        json(await datasets.completeUpload(params.name, params.id, actor), 202),
    }),
  ];
}

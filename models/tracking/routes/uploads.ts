import type { z } from "zod";
import { type Call, json, type Route } from "../../../shared/http/index.ts";
import { fileAnswers, readRequest } from "../../../shared/mlflow/index.ts";
import { artifactKey } from "../artifacts/artifact-uris.ts";
import { statArtifact } from "../artifacts/artifacts.ts";
import { abortUpload, beginUpload, completeUpload, uploadKey } from "../artifacts/uploads.ts";
import type { TrackingContext } from "../context.ts";
import { AbortUpload, BeginUpload, CompleteUpload } from "../schemas.ts";
import { fileRoute } from "./file-route.ts";

const linkLifetimeMs = 15 * 60_000;

/**
 * Files straight to and from the blob store, through signed links (mlflow/protos/mlflow_artifacts.proto). The client
 * sends the path of the file on its own disk, of which only the name counts; the directory stands in the URL.
 *
 * @param prefix `/api/2.0/mlflow-artifacts` or the same of the web page
 */
export function uploadRoutes(context: TrackingContext, prefix: string): Route[] {
  const directoryOf = (call: Call) => call.params.path ?? "";
  // `path` is a parameter of the URL and a field of the body: the reader of requests would let the URL's win.
  const read = <Value>(schema: z.ZodType<Value>, call: Call) => readRequest(schema, { ...call, params: {} });
  return [
    fileRoute({
      method: "POST",
      path: `${prefix}/mpu/create/:path{.+}`,
      role: "contributor",
      summary: "Begin an upload in parts, each by a signed link",
      bodyTypes: ["application/json"],
      responses: {
        200: { description: "As MLflow's REST API describes it", schema: fileAnswers.uploadCreated },
      },
      handle: async (call) => {
        const { path, num_parts } = await read(BeginUpload, call);
        const { uploadId, parts } = await beginUpload(context, {
          key: uploadKey(directoryOf(call), path),
          partCount: num_parts,
          baseUrl: call.baseUrl,
        });
        return json({
          upload_id: uploadId,
          credentials: parts.map(({ number, url }) => ({ url, part_number: number, headers: {} })),
        });
      },
    }),
    fileRoute({
      method: "POST",
      path: `${prefix}/mpu/complete/:path{.+}`,
      role: "contributor",
      summary: "Make an artifact of the parts that were sent",
      bodyTypes: ["application/json"],
      responses: { 200: { description: "As MLflow's REST API describes it", schema: fileAnswers.nothing } },
      handle: async (call) => {
        const { path, upload_id, parts } = await read(CompleteUpload, call);
        await completeUpload(context, {
          uploadId: upload_id,
          key: uploadKey(directoryOf(call), path),
          parts: parts.map(({ part_number, etag }) => ({ number: part_number, etag })),
        });
        return json({});
      },
    }),
    fileRoute({
      method: "POST",
      path: `${prefix}/mpu/abort/:path{.+}`,
      role: "contributor",
      summary: "Give an upload in parts up",
      bodyTypes: ["application/json"],
      responses: { 200: { description: "As MLflow's REST API describes it", schema: fileAnswers.nothing } },
      handle: async (call) => {
        const { path, upload_id } = await read(AbortUpload, call);
        await abortUpload(context, { uploadId: upload_id, key: uploadKey(directoryOf(call), path) });
        return json({});
      },
    }),
    fileRoute({
      method: "GET",
      path: `${prefix}/presigned/:path{.+}`,
      role: "viewer",
      summary: "A link to download an artifact straight from the store",
      responses: { 200: { description: "As MLflow's REST API describes it", schema: fileAnswers.link } },
      handle: async (call) => {
        const key = artifactKey(directoryOf(call));
        const { sizeBytes } = await statArtifact(context.blobs, key, directoryOf(call));
        const url = await context.blobs.signedUrl(key, {
          method: "GET",
          expiresInMs: linkLifetimeMs,
          baseUrl: call.baseUrl,
        });
        return json({ url, headers: {}, file_size: sizeBytes });
      },
    }),
  ];
}

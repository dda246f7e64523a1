import { randomUUID } from "node:crypto";
import { invalid, notFound } from "../../../shared/errors.ts";
import { storeOf, type TrackingContext } from "../context.ts";
import type { UploadRow } from "../store/tables.ts";
import { deleteUpload, endUpload, findUpload, insertUpload, selectExpiredUploads } from "../store/uploads.ts";
import { artifactKey } from "./artifact-uris.ts";
import { refuseFileInFile } from "./artifacts.ts";

/**
 * An artifact that a client sends to the blob store itself, in parts, through links that it gets here. A row keeps what
 * was begun; the file is there when the upload is completed, whole, and not before.
 */
export interface BegunUpload {
  readonly uploadId: string;
  readonly parts: readonly { readonly number: number; readonly url: string }[];
}

export interface SentPart {
  readonly number: number;
  /** As the store answered it; empty when it gave none. */
  readonly etag: string;
}

/** A hundred gigabytes in MLflow's usual chunks of 10 MiB. */
export const maxParts = 10_000;

const shortestMs = 60 * 60_000;
const maxMs = 12 * 60 * 60_000;
/** The client cannot ask for new links half-way, and 10 MiB on a slow line take half a minute. */
const msPerPart = 30_000;

/** The blob key of the file that a request names by its directory here and its path on the client's disk. @throws invalid */
export function uploadKey(directory: string, clientPath: string): string {
  const name = clientPath.split(/[/\\]/).at(-1) ?? "";
  if (name === "" || name === "." || name === "..") throw invalid("Invalid path", { field: "path" });
  return artifactKey(`${directory.replace(/\/+$/, "")}/${name}`);
}

/** @throws invalid for another number of parts than 1 to 10,000. */
export async function beginUpload(
  context: TrackingContext,
  request: { readonly key: string; readonly partCount: number; readonly baseUrl: string },
): Promise<BegunUpload> {
  const { key, partCount, baseUrl } = request;
  if (!(Number.isInteger(partCount) && partCount >= 1 && partCount <= maxParts)) {
    throw invalid(
      `Invalid value ${partCount} for parameter 'num_parts' supplied: a file is sent in 1 to ${maxParts} parts. Choose larger parts.`,
      { field: "num_parts" },
    );
  }
  await context.refuseFrozen?.(key, "write");
  await refuseFileInFile(context.blobs, key);
  const uploadId = randomUUID();
  const nowMs = context.clock();
  const expiresInMs = Math.min(maxMs, Math.max(shortestMs, partCount * msPerPart));
  const parts: { number: number; url: string }[] = [];
  for (let number = 1; number <= partCount; number++) {
    const part = { key, uploadId, number };
    parts.push({ number, url: await context.blobs.parts.signedUrl(part, { expiresInMs, baseUrl }) });
  }
  await insertUpload(storeOf(context), {
    upload_id: uploadId,
    blob_key: key,
    part_count: partCount,
    state: "open",
    created_ms: nowMs,
    expires_ms: nowMs + expiresInMs,
  });
  return { uploadId, parts };
}

/**
 * Makes the file of its parts. Asked again, as clients do when an answer was lost, it changes nothing.
 *
 * @throws notFound for an unknown upload; invalid when it was aborted or has expired, or a part is missing or is not the
 *   one that was sent; tooLarge past the largest artifact
 */
export async function completeUpload(
  context: TrackingContext,
  request: {
    readonly uploadId: string;
    readonly key: string;
    readonly parts: readonly SentPart[];
  },
): Promise<void> {
  const { key, uploadId } = request;
  const upload = await requireUpload(context, uploadId, key);
  if (upload.state === "completed") return;
  checkOpen(upload, context.clock());
  const parts = inOrder(upload, request.parts);
  await context.refuseFrozen?.(key, "write");
  await refuseFileInFile(context.blobs, key);
  try {
    // Goes on when the client has lost patience, as it may with a large file: its next try finds the work done.
    await context.blobs.parts.join({ key, uploadId }, parts, { maxBytes: context.maxArtifactBytes });
  } catch (error) {
    // The same request, sent twice: the other one was faster, and has taken the parts away.
    if ((await findUpload(storeOf(context), uploadId))?.state === "completed") return;
    throw error;
  }
  // Only now, so that a crash before it leaves an upload that can be completed again.
  await endUpload(storeOf(context), uploadId, "completed");
  await context.blobs.parts.discard({ key, uploadId });
}

/** Gives an upload up, with the parts that have arrived; twice is once. @throws notFound; invalid when it is complete. */
export async function abortUpload(
  context: TrackingContext,
  { uploadId, key }: { readonly uploadId: string; readonly key: string },
): Promise<void> {
  const { state } = await requireUpload(context, uploadId, key);
  const isOurs = state === "open" && (await endUpload(storeOf(context), uploadId, "aborted"));
  if (!isOurs && (await requireUpload(context, uploadId, key)).state === "completed") {
    throw invalid(`The upload '${uploadId}' is complete and cannot be aborted: delete the artifact instead.`);
  }
  await context.blobs.parts.discard({ key, uploadId });
}

/** Forgets the uploads whose time is over, with what arrived of those that were never completed. */
export async function sweepUploads(context: TrackingContext): Promise<number> {
  const store = storeOf(context);
  for (let swept = 0; ; ) {
    const expired = await selectExpiredUploads(store, context.clock(), 100);
    if (expired.length === 0) return swept;
    for (const { upload_id: uploadId, blob_key: key } of expired) {
      await context.blobs.parts.discard({ key, uploadId });
      await deleteUpload(store, uploadId);
      swept++;
    }
  }
}

async function requireUpload(context: TrackingContext, uploadId: string, key: string): Promise<UploadRow> {
  const upload = await findUpload(storeOf(context), uploadId);
  if (upload === undefined) {
    throw notFound(`There is no upload '${uploadId.slice(0, 100)}'. It may have expired: begin another.`);
  }
  if (upload.blob_key !== key) {
    throw invalid(`The upload '${uploadId}' is of another artifact than the one in the path.`, {
      field: "upload_id",
    });
  }
  return upload;
}

function checkOpen(upload: UploadRow, nowMs: number): void {
  const { upload_id: id, state, expires_ms: expiresMs } = upload;
  if (state === "aborted") throw invalid(`The upload '${id}' was aborted: begin another.`);
  if (expiresMs <= nowMs) {
    throw invalid(`The upload '${id}' expired at ${new Date(expiresMs).toISOString()}: begin another.`);
  }
}

/** @throws invalid naming the first part that is not there, not known, or there twice */
function inOrder(upload: UploadRow, parts: readonly SentPart[]): SentPart[] {
  const sorted = parts.toSorted((a, b) => a.number - b.number);
  for (const [index, { number }] of sorted.entries()) {
    if (number < 1 || number > upload.part_count) {
      throw invalid(
        `The upload '${upload.upload_id}' has the parts 1 to ${upload.part_count}; there is no part ${number}.`,
        { field: "parts" },
      );
    }
    if (number === index + 1) continue;
    throw invalid(
      number <= index ? `Part ${number} stands twice in parts.` : `Part ${index + 1} is missing in parts.`,
      { field: "parts" },
    );
  }
  if (sorted.length < upload.part_count) {
    throw invalid(`Part ${sorted.length + 1} is missing in parts: there are ${upload.part_count}.`, {
      field: "parts",
    });
  }
  return sorted;
}

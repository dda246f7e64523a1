import { createHash, randomUUID } from "node:crypto";
import type { BlobStore } from "../../shared/blobs/index.ts";
import { conflict, invalid, notFound, tooLarge } from "../../shared/errors.ts";
import type { Format } from "./schemas.ts";

/** Content on its way in lies here until it is known by its hash. */
const incomingPrefix = "incoming/datasets/";

export function incomingKey(id: string = randomUUID()): string {
  return `${incomingPrefix}${id}`;
}

/** Below it lies what was registered. */
export const contentRoot = "datasets/";

/**
 * Copies content from where it arrived to a place of its own, `datasets/<name>/<sha256>.<random>.<format>`. What lies there
 * never changes: a signed link still writes to the place of arrival after the upload was completed, so what is copied is
 * hashed again on the way.
 *
 * @returns the key
 * @throws notFound when nothing arrived; conflict when it changed meanwhile
 */
export async function storeContent(
  blobs: BlobStore,
  from: string,
  target: {
    readonly dataset: string;
    readonly version: string;
    readonly format: Format;
    readonly maxBytes: number;
  },
  signal?: AbortSignal,
): Promise<string> {
  const { dataset, version, format, maxBytes } = target;
  const key = `${contentRoot}${dataset}/${version}.${randomUUID()}.${format}`;
  const content = await blobs.get(from);
  if (content === null) throw notFound("The upload is gone.");
  const stored = await blobs.put(key, content.stream, {
    ifAbsent: true,
    maxBytes,
    contentType: "application/octet-stream",
    ...(signal === undefined ? {} : { signal }),
  });
  if (stored.sha256 === version) return key;
  await blobs.delete(key);
  throw conflict("The upload changed while it was read; upload it again.");
}

/** @throws notFound when nothing arrived; invalid for nothing, tooLarge for too much. */
export async function sizeOf(
  blobs: BlobStore,
  key: string,
  maxBytes: number,
): Promise<{ sizeBytes: number }> {
  const stat = await blobs.stat(key);
  if (stat === null) throw notFound("Nothing was uploaded yet: send the content to the upload's URL first.");
  if (stat.sizeBytes === 0) throw invalid("The upload is empty; a data set has at least one byte.");
  if (stat.sizeBytes > maxBytes) {
    throw tooLarge(`The upload has ${stat.sizeBytes} bytes; at most ${maxBytes} are taken here.`);
  }
  return stat;
}

export async function hashOf(blobs: BlobStore, key: string, signal?: AbortSignal): Promise<string> {
  const content = await blobs.get(key);
  if (content === null) throw notFound("The upload is gone.");
  const hash = createHash("sha256");
  for await (const chunk of content.stream) {
    signal?.throwIfAborted();
    hash.update(chunk);
  }
  return hash.digest("hex");
}

/** Removes what arrived before `beforeMs` and was never adopted: its sender gave up, or this process died. */
export async function sweepIncoming(blobs: BlobStore, beforeMs: number): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await blobs.list(incomingPrefix, cursor === undefined ? {} : { cursor });
    for (const blob of page.blobs) if (blob.modifiedMs < beforeMs) await blobs.delete(blob.key);
    cursor = page.cursor;
  } while (cursor !== undefined);
}

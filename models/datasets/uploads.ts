import { createHash, randomUUID } from "node:crypto";
import type { BlobStore } from "../../shared/blobs/index.ts";
import { conflict, invalid, isKetlineError, notFound, tooLarge } from "../../shared/errors.ts";
import type { Format } from "./schemas.ts";

/** Content on its way in lies here until it is known by its hash. */
const incomingPrefix = "incoming/datasets/";

export function incomingKey(id: string = randomUUID()): string {
  return `${incomingPrefix}${id}`;
}

export interface StoredContent {
  readonly key: string;
  readonly version: string;
  readonly sizeBytes: number;
}

/**
 * Moves content from where it arrived to where its hash says, `datasets/<name>/<sha256>.<format>`. What lies there never
 * changes: a signed link still writes to the place of arrival after the upload was completed, so what is copied is
 * hashed again on the way.
 *
 * @param version the hash, where it is known
 * @throws notFound when nothing arrived; invalid when it is empty; conflict when it changed meanwhile
 */
export async function adoptContent(
  blobs: BlobStore,
  arrived: { readonly key: string; readonly version?: string },
  target: { readonly dataset: string; readonly format: Format; readonly maxBytes: number },
  signal?: AbortSignal,
): Promise<StoredContent> {
  const { sizeBytes } = await sizeOf(blobs, arrived.key, target.maxBytes);
  const version = arrived.version ?? (await hashOf(blobs, arrived.key, signal));
  const key = `datasets/${target.dataset}/${version}.${target.format}`;
  const found = await blobs.stat(key);
  if (found === null) await copy(blobs, arrived.key, key, version, target.maxBytes, signal);
  await blobs.delete(arrived.key);
  return { key, version, sizeBytes };
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

async function copy(
  blobs: BlobStore,
  from: string,
  to: string,
  version: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const content = await blobs.get(from);
  if (content === null) throw notFound("The upload is gone.");
  try {
    const stored = await blobs.put(to, content.stream, {
      ifAbsent: true,
      maxBytes,
      contentType: "application/octet-stream",
      ...(signal === undefined ? {} : { signal }),
    });
    if (stored.sha256 === version) return;
  } catch (error) {
    // Somebody else stored the same content in the meantime.
    if (isKetlineError(error, "conflict")) return;
    throw error;
  }
  await blobs.delete(to);
  throw conflict("The upload changed while it was read; upload it again.");
}

async function hashOf(blobs: BlobStore, key: string, signal: AbortSignal | undefined): Promise<string> {
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

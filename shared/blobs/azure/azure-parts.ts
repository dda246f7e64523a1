import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { BlockBlobClient } from "@azure/storage-blob";
import { callStorage, codeOfStorage, isStatus, shortCallMs } from "../../azure-storage/calls.ts";
import { conflict, unavailable } from "../../errors.ts";
import { exceeds } from "../bodies.ts";
import { defaultContentType } from "../content-types.ts";
import {
  type BlobParts,
  type BlobUpload,
  blockIdOf,
  checkParts,
  linkToBlock,
  missingPart,
} from "../parts.ts";

/** A list of 50,000 blocks takes longer than other short calls. */
const listTimeoutMs = 2 * shortCallMs;
/** A copy within one account moves no bytes through us; Azure promises no time for it. */
const copyTimeoutMs = 10 * 60_000;
/** How long a link from the service to itself lives, which is asked for at the copy's start. */
const copyLinkMs = 15 * 60_000;
const copyPollMs = 250;

/**
 * Parts as blocks of a block blob, sent to Azure by whoever holds the links. They are staged under a key of the upload's
 * own, and what was committed there is copied to the blob's key: a link signs its blob and not the operation, so that
 * whoever leaves `comp=block` out of it writes the whole blob that it names.
 */
export function createAzureParts(options: {
  readonly service: string;
  linkTo(key: string, method: "GET" | "PUT", expiresInMs: number): Promise<string>;
  /** @throws invalid for a bad key */
  blobOf(key: string): BlockBlobClient;
}): BlobParts {
  const { service, linkTo, blobOf } = options;

  /** Sizes by id. Committed ones too: a join that is repeated finds its blocks there. */
  async function stagedIn(
    blob: BlockBlobClient,
    signal: AbortSignal | undefined,
  ): Promise<Map<string, number>> {
    try {
      const found = await callStorage(service, { timeoutMs: listTimeoutMs, signal }, (abortSignal) =>
        blob.getBlockList("all", { abortSignal }),
      );
      const { committedBlocks = [], uncommittedBlocks = [] } = found;
      return new Map([...committedBlocks, ...uncommittedBlocks].map(({ name, size }) => [name, size]));
    } catch (error) {
      if (isStatus(error, 404)) return new Map();
      throw error;
    }
  }

  /** @param etag of what was committed: whoever still holds a link may have written there since */
  async function copy(upload: BlobUpload, etag: string, signal: AbortSignal | undefined): Promise<void> {
    const source = await linkTo(stagingKeyOf(upload), "GET", copyLinkMs);
    await callStorage(service, { timeoutMs: copyTimeoutMs, signal }, async (abortSignal) => {
      const copying = await blobOf(upload.key).beginCopyFromURL(source, {
        abortSignal,
        sourceConditions: { ifMatch: etag },
      });
      while (!copying.isDone()) {
        await copying.poll({ abortSignal });
        if (!copying.isDone()) await sleep(copyPollMs, undefined, { signal: abortSignal });
      }
      const { copyStatus } = copying.getResult() ?? {};
      if (copyStatus !== "success") {
        throw unavailable(
          `${service} ended the joining of "${upload.key}" as ${copyStatus ?? "failed"}: ask again.`,
        );
      }
    });
  }

  return {
    signedUrl: async (part, { expiresInMs }) => {
      blobOf(part.key);
      const blockId = blockIdOf(part.uploadId, part.number);
      return linkToBlock(await linkTo(stagingKeyOf(part), "PUT", expiresInMs), blockId);
    },

    async join(upload, parts, { contentType, maxBytes, signal } = {}) {
      checkParts(parts);
      const { key, uploadId } = upload;
      blobOf(key);
      const staging = blobOf(stagingKeyOf(upload));
      const staged = await stagedIn(staging, signal);
      let sizeBytes = 0;
      const ids = parts.map(({ number }) => {
        const id = blockIdOf(uploadId, number);
        const size = staged.get(id);
        if (size === undefined) throw missingPart(number);
        sizeBytes += size;
        return id;
      });
      if (maxBytes !== undefined && sizeBytes > maxBytes) throw exceeds(maxBytes);
      try {
        const committed = await callStorage(service, { timeoutMs: listTimeoutMs, signal }, (abortSignal) =>
          staging.commitBlockList(ids, {
            abortSignal,
            blobHTTPHeaders: { blobContentType: contentType ?? defaultContentType(key) },
          }),
        );
        await copy(upload, committed.etag ?? "", signal);
      } catch (error) {
        if (!isStatus(error, 409, 412) && codeOfStorage(error) !== "InvalidBlockList") throw error;
        throw conflict(
          `The parts of "${key}" changed while they were joined, or are being joined by another request: ask again.`,
        );
      }
    },

    // What was never committed Azure removes by itself, a week after the last part.
    async discard(upload) {
      try {
        await callStorage(service, { timeoutMs: shortCallMs }, (abortSignal) =>
          blobOf(stagingKeyOf(upload)).delete({ abortSignal }),
        );
      } catch (error) {
        if (!isStatus(error, 404)) throw error;
      }
    },
  };
}

function stagingKeyOf({ key, uploadId }: BlobUpload): string {
  return `parts/${uploadId}/${createHash("sha256").update(key).digest("hex").slice(0, 32)}`;
}

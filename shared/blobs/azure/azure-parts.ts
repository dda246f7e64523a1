import type { BlockBlobClient } from "@azure/storage-blob";
import { callStorage, codeOfStorage, isStatus, shortCallMs } from "../../azure-storage/calls.ts";
import { conflict } from "../../errors.ts";
import { exceeds } from "../bodies.ts";
import { defaultContentType } from "../content-types.ts";
import { type BlobParts, blockIdOf, checkParts, linkToBlock, missingPart } from "../parts.ts";

/** A list of 50,000 blocks takes longer than other short calls. */
const listTimeoutMs = 2 * shortCallMs;

/** Parts as blocks of a block blob, sent to Azure by whoever holds the links, and committed by us. */
export function createAzureParts(options: {
  readonly service: string;
  blobUrl(key: string, expiresInMs: number): Promise<string>;
  /** @throws invalid for a bad key */
  blobOf(key: string): BlockBlobClient;
}): BlobParts {
  const { service, blobUrl, blobOf } = options;

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

  return {
    signedUrl: async ({ key, uploadId, number }, { expiresInMs }) =>
      linkToBlock(await blobUrl(key, expiresInMs), blockIdOf(uploadId, number)),

    async join({ key, uploadId }, parts, { contentType, maxBytes, signal } = {}) {
      checkParts(parts);
      const blob = blobOf(key);
      const staged = await stagedIn(blob, signal);
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
        await callStorage(service, { timeoutMs: listTimeoutMs, signal }, (abortSignal) =>
          blob.commitBlockList(ids, {
            abortSignal,
            blobHTTPHeaders: { blobContentType: contentType ?? defaultContentType(key) },
          }),
        );
      } catch (error) {
        if (codeOfStorage(error) !== "InvalidBlockList") throw error;
        throw conflict(`Another upload of "${key}" was finished meanwhile and took these parts with it.`);
      }
    },

    // There is no call for it, and other uploads of the same blob may be under way.
    discard: async () => {},
  };
}

import { createHash } from "node:crypto";
import { invalid } from "../errors.ts";
import type { BlobBody, BlobStore, PutOptions } from "./blob-store.ts";

/** Blocks of uploads that are not finished; no link is ever handed out for anything below it. */
const room = "uncommitted-blocks";

/** Azure keeps them a week; nobody resumes an upload of ours after a day. */
const abandonedAfterMs = 86_400_000;

/**
 * Large uploads in blocks, as Azure's clients send them: each block is a blob of its own until the list of them makes
 * the blob.
 */
export function createStagedBlocks(store: BlobStore) {
  const folderOf = (key: string) => `${room}/${createHash("sha256").update(key).digest("hex")}`;
  const blockKey = (key: string, id: string) => `${folderOf(key)}/${hexOf(id)}`;

  return {
    async stage(key: string, id: string, body: BlobBody, options: PutOptions): Promise<void> {
      await store.put(blockKey(key, id), body, options);
    },

    /** @throws invalid when one of the blocks was not staged */
    async commit(key: string, ids: readonly string[], options: PutOptions): Promise<void> {
      const blocks = ids.map((id) => blockKey(key, id));
      for (const [index, block] of blocks.entries()) {
        if ((await store.stat(block)) === null) {
          throw invalid(`The block "${ids[index]}" of "${key}" was not uploaded.`, {
            code: "InvalidBlockList",
          });
        }
      }
      await store.put(key, joined(store, blocks), options);
      await discard(`${folderOf(key)}/`);
    },

    /** Removes the blocks of uploads that were never finished. */
    async sweep(nowMs: number): Promise<number> {
      return discard(`${room}/`, nowMs - abandonedAfterMs);
    },
  };

  async function discard(prefix: string, modifiedBeforeMs = Number.POSITIVE_INFINITY): Promise<number> {
    let removed = 0;
    let cursor: string | undefined;
    do {
      const page = await store.list(prefix, cursor === undefined ? {} : { cursor });
      for (const blob of page.blobs) {
        if (blob.modifiedMs < modifiedBeforeMs && (await store.delete(blob.key))) removed++;
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    return removed;
  }
}

/** Ids are base64 of up to 64 bytes, which file systems that ignore case would mix up. */
function hexOf(id: string): string {
  const bytes = Buffer.from(id, "base64");
  if (bytes.length === 0 || bytes.length > 64 || bytes.toString("base64") !== id) {
    throw invalid(`The block id "${id.slice(0, 100)}" is not base64 of 1 to 64 bytes.`, {
      code: "InvalidQueryParameterValue",
    });
  }
  return bytes.toString("hex");
}

function joined(store: BlobStore, keys: readonly string[]): ReadableStream<Uint8Array> {
  const chunks = chunksOfAll(store, keys);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await chunks.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

async function* chunksOfAll(store: BlobStore, keys: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const key of keys) {
    const content = await store.get(key);
    if (content === null) throw invalid("A block was removed by another upload of the same blob.");
    yield* content.stream;
  }
}

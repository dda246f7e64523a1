import { createHash } from "node:crypto";
import { invalid, type KetlineError } from "../../errors.ts";
import type { BlobBody, BlobStore, PutOptions, StoredBlob } from "../blob-store.ts";
import { exceeds } from "../bodies.ts";

/** Blocks of uploads that are not finished; no link is ever handed out for anything below it. */
const room = "uncommitted-blocks";

/** Azure keeps them a week; nobody resumes an upload of ours after a day. */
const abandonedAfterMs = 86_400_000;

/** The most that Azure takes for one block. */
export const maxBlockBytes = 4000 * 1024 ** 2;

export interface JoinBlocksOptions extends PutOptions {
  /** Words the error for a block that was not staged. */
  readonly missing?: (id: string) => KetlineError;
  /** Sees each block as it is copied; an error ends the copying, and nothing is stored. */
  readonly observe?: (id: string) => { chunk(chunk: Uint8Array): void; end(): void };
}

/**
 * Large uploads in blocks, as Azure's clients send them: each block is a blob of its own until the list of them makes
 * the blob.
 */
export function createStagedBlocks(store: Pick<BlobStore, "put" | "get" | "list" | "delete">) {
  const folderOf = (key: string) => `${room}/${createHash("sha256").update(key).digest("hex")}`;
  const blockKey = (key: string, id: string) => `${folderOf(key)}/${hexOf(id)}`;

  return {
    stage(key: string, id: string, body: BlobBody, options: PutOptions): Promise<StoredBlob> {
      return store.put(blockKey(key, id), body, options);
    },

    /**
     * Makes the blob of these blocks, in this order, and keeps the blocks.
     *
     * @throws invalid when one of the blocks was not staged; tooLarge when all have more than `maxBytes`
     */
    async join(key: string, ids: readonly string[], options: JoinBlocksOptions): Promise<void> {
      const { missing = notStaged(key), observe, ...putOptions } = options;
      const sizes = await sizesIn(`${folderOf(key)}/`);
      let sizeBytes = 0;
      for (const id of ids) {
        const size = sizes.get(blockKey(key, id));
        if (size === undefined) throw missing(id);
        sizeBytes += size;
      }
      if (sizeBytes > (options.maxBytes ?? sizeBytes)) throw exceeds(options.maxBytes ?? 0);
      const blocks = ids.map((id) => ({ key: blockKey(key, id), seen: observe?.(id) }));
      await store.put(key, joined(store, blocks), putOptions);
    },

    /** As `join`, and then none of the blob's blocks is left, also of another upload. */
    async commit(key: string, ids: readonly string[], options: PutOptions): Promise<void> {
      await this.join(key, ids, options);
      await removeAll(`${folderOf(key)}/`);
    },

    /** Removes the blocks of a blob whose ids begin so, before they are written as base64. */
    async discard(key: string, idsBegin: string): Promise<void> {
      await removeAll(`${folderOf(key)}/${Buffer.from(idsBegin).toString("hex")}`);
    },

    /** Removes the blocks of uploads that were never finished. */
    async sweep(nowMs: number): Promise<number> {
      return removeAll(`${room}/`, nowMs - abandonedAfterMs);
    },
  };

  async function sizesIn(prefix: string): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    let cursor: string | undefined;
    do {
      const page = await store.list(prefix, cursor === undefined ? { limit: 5000 } : { limit: 5000, cursor });
      for (const blob of page.blobs) sizes.set(blob.key, blob.sizeBytes);
      cursor = page.cursor;
    } while (cursor !== undefined);
    return sizes;
  }

  async function removeAll(prefix: string, modifiedBeforeMs = Number.POSITIVE_INFINITY): Promise<number> {
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

/** The tag of a block that was staged: its hash, so that whoever joins the blocks can be sure of them. */
export function etagOfBlock(sha256: string): string {
  return `"${sha256}"`;
}

function notStaged(key: string) {
  return (id: string) =>
    invalid(`The block "${id}" of "${key}" was not uploaded.`, { code: "InvalidBlockList" });
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

interface Block {
  readonly key: string;
  readonly seen: { chunk(chunk: Uint8Array): void; end(): void } | undefined;
}

function joined(store: Pick<BlobStore, "get">, blocks: readonly Block[]): ReadableStream<Uint8Array> {
  const chunks = chunksOfAll(store, blocks);
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

async function* chunksOfAll(
  store: Pick<BlobStore, "get">,
  blocks: readonly Block[],
): AsyncGenerator<Uint8Array> {
  for (const { key, seen } of blocks) {
    const content = await store.get(key);
    if (content === null) throw invalid("A block was removed by another upload of the same blob.");
    for await (const chunk of content.stream) {
      seen?.chunk(chunk);
      yield chunk;
    }
    seen?.end();
  }
}

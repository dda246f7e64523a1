import { randomUUID } from "node:crypto";
import type { BlockBlobClient, BlockBlobCommitBlockListOptions } from "@azure/storage-blob";
import { callStorage, shortCallMs } from "../../azure-storage/calls.ts";

/** Azure takes 50,000 blocks for one blob: 195 GiB of this size. Larger ones are no faster and stay in memory longer. */
const blockBytes = 4 * 1024 ** 2;
/** Blocks on their way at the same time; with the one that is being filled, 20 MiB of memory for an upload. */
const concurrency = 4;
const blockTimeoutMs = 5 * 60_000;

/**
 * Uploads chunks as one blob: a small one in a single request, a larger one in blocks that become the blob when they are
 * committed. (The SDK's `uploadStream` cannot be aborted while it stages blocks.)
 *
 * @param chunks asked for with a signal that also ends when a block could not be staged
 */
export async function uploadBlocks(
  blob: BlockBlobClient,
  chunks: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  options: {
    readonly service: string;
    readonly signal: AbortSignal | undefined;
    readonly commit: Omit<BlockBlobCommitBlockListOptions, "abortSignal">;
  },
): Promise<void> {
  const { service, commit } = options;
  const failed = new AbortController();
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  const prefix = randomUUID();
  const ids: string[] = [];
  const underway = new Set<Promise<void>>();
  const free: Uint8Array[] = [];

  const stage = (block: Uint8Array) => {
    const id = Buffer.from(`${prefix}-${String(ids.length).padStart(6, "0")}`).toString("base64");
    ids.push(id);
    const staging: Promise<void> = callStorage(
      service,
      { timeoutMs: blockTimeoutMs, signal },
      (abortSignal) => blob.stageBlock(id, block, block.byteLength, { abortSignal }),
    )
      .then(() => {})
      .catch((error: unknown) => failed.abort(error))
      .finally(() => {
        underway.delete(staging);
        if (block.byteLength === blockBytes) free.push(block);
      });
    underway.add(staging);
  };

  try {
    for await (const { block, last } of blocksOf(chunks(signal), free)) {
      if (last && ids.length === 0) {
        await callStorage(service, { timeoutMs: blockTimeoutMs, signal }, (abortSignal) =>
          blob.upload(block, block.byteLength, { ...commit, abortSignal }),
        );
        return;
      }
      if (block.byteLength > 0) stage(block);
      if (underway.size === concurrency) await Promise.race(underway);
      signal.throwIfAborted();
    }
  } catch (error) {
    failed.abort(error);
    throw error;
  } finally {
    await Promise.all(underway);
  }
  signal.throwIfAborted();
  await callStorage(service, { timeoutMs: shortCallMs, signal }, (abortSignal) =>
    blob.commitBlockList(ids, { ...commit, abortSignal }),
  );
}

/**
 * Joins and cuts chunks into blocks of one size; the last one may be shorter, or empty. After the first, which is all that
 * most uploads have, blocks are filled in place: gathering chunks and joining them would hold everything twice.
 *
 * @param free blocks that nobody needs any more
 */
async function* blocksOf(
  chunks: AsyncIterable<Uint8Array>,
  free: Uint8Array[],
): AsyncGenerator<{ readonly block: Uint8Array; readonly last: boolean }> {
  const parts: Uint8Array[] = [];
  let filling: Uint8Array | undefined;
  let size = 0;
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.byteLength > 0; ) {
      const part = rest.subarray(0, blockBytes - size);
      rest = rest.subarray(part.byteLength);
      if (filling === undefined) parts.push(part);
      else filling.set(part, size);
      size += part.byteLength;
      if (size === blockBytes) {
        yield { block: filling ?? Buffer.concat(parts.splice(0), size), last: false };
        filling = free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
        size = 0;
      }
    }
  }
  yield { block: filling?.subarray(0, size) ?? Buffer.concat(parts, size), last: true };
}

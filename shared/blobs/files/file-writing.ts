import type { FileHandle } from "node:fs/promises";

type Writer = Pick<FileHandle, "writev">;

/** How much is handed to the disk at a time: a call for each piece that the network brings costs more than the piece. */
const batchBytes = 1024 ** 2;

/**
 * Writes chunks to a file, in order, while the next ones are fetched. At most two batches are held.
 *
 * @param see told of each chunk as it comes
 * @returns how many bytes were written
 */
export async function writeChunks(
  handle: Writer,
  chunks: AsyncIterable<Uint8Array>,
  see: (chunk: Uint8Array) => void,
): Promise<number> {
  let sizeBytes = 0;
  let batch: Uint8Array[] = [];
  let batchSize = 0;
  let writing: Promise<void> = Promise.resolve();
  const flush = async () => {
    await writing;
    writing = writeAll(handle, batch);
    // Whoever waits for it next hears of a failure; until then it must not count as unhandled.
    writing.catch(() => undefined);
    batch = [];
    batchSize = 0;
  };
  try {
    for await (const chunk of chunks) {
      see(chunk);
      batch.push(chunk);
      batchSize += chunk.byteLength;
      sizeBytes += chunk.byteLength;
      if (batchSize >= batchBytes) await flush();
    }
    await flush();
  } finally {
    // Nobody may close the file under a write.
    await writing;
  }
  return sizeBytes;
}

/** A write may take less than it was given. */
async function writeAll(handle: Writer, chunks: readonly Uint8Array[]): Promise<void> {
  let left = chunks;
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left);
    left = without(left, bytesWritten);
  }
}

function without(chunks: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let skip = bytes;
  for (const [index, chunk] of chunks.entries()) {
    if (skip < chunk.byteLength) return [chunk.subarray(skip), ...chunks.slice(index + 1)];
    skip -= chunk.byteLength;
  }
  return [];
}

import type { FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import { invalid, tooLarge, unavailable } from "../errors.ts";
import type { BlobBody, ByteRange } from "./blob-store.ts";

const chunkBytes = 256 * 1024;

/**
 * The chunks of a body, until the limit or the signal ends them. A stream that is left early is cancelled, so that its
 * source stops.
 *
 * @throws tooLarge past `maxBytes`; the signal's reason when it is aborted
 */
export async function* chunksOf(
  body: BlobBody,
  options: { readonly maxBytes?: number; readonly signal?: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const { maxBytes = Number.POSITIVE_INFINITY, signal } = options;
  signal?.throwIfAborted();
  if (body instanceof Uint8Array) {
    if (body.byteLength > maxBytes) throw exceeds(maxBytes);
    if (body.byteLength > 0) yield body;
    return;
  }
  const reader = body.getReader();
  // A read that waits for a silent sender ends only when the stream is cancelled.
  const cancel = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", cancel, { once: true });
  let size = 0;
  let finished = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) break;
      size += value.byteLength;
      if (size > maxBytes) throw exceeds(maxBytes);
      if (value.byteLength > 0) yield value;
    }
    finished = true;
  } finally {
    signal?.removeEventListener("abort", cancel);
    if (!finished) await reader.cancel().catch(() => {});
  }
}

/**
 * The same body, which asks once more when its last byte has come: an upload takes hours, and what allowed it may have
 * changed. When `mayEnd` throws the body fails, and a store keeps nothing of it.
 */
export function askingAtTheEnd(body: BlobBody, mayEnd: () => Promise<void>): BlobBody {
  if (body instanceof Uint8Array) return body;
  return body.pipeThrough(new TransformStream<Uint8Array, Uint8Array>({ flush: mayEnd }));
}

/** Lets go of a body that nobody will read: behind it may be an open file, or a sender who waits. */
export async function discardBody(body: BlobBody): Promise<void> {
  if (body instanceof Uint8Array || body.locked) return;
  await body.cancel().catch(() => {});
}

export function exceeds(maxBytes: number) {
  return tooLarge(`The content has more than ${maxBytes} bytes, which is the most that is taken here.`);
}

/** @throws invalid for offsets and lengths that are not whole numbers from 0 */
export function checkRange(range: ByteRange | undefined): void {
  if (range === undefined) return;
  const { offset, length = 0 } = range;
  if (Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length >= 0) return;
  throw invalid(
    `The range with offset ${offset} and length ${range.length} is wrong: they are whole numbers from 0.`,
  );
}

/**
 * Where a range begins and ends (exclusive) in so many bytes.
 *
 * @throws invalid when it starts past the end
 */
export function boundsOf(range: ByteRange | undefined, sizeBytes: number): { start: number; end: number } {
  if (range === undefined) return { start: 0, end: sizeBytes };
  const { offset, length } = range;
  if (offset > 0 && offset >= sizeBytes) {
    throw invalid(`The range starts at byte ${offset}, but the blob has ${sizeBytes} bytes.`, {
      code: "InvalidRange",
    });
  }
  return { start: offset, end: length === undefined ? sizeBytes : Math.min(sizeBytes, offset + length) };
}

/** Reads a part of an open file as it is asked for, and closes it at the end or when the reader goes away. */
export function streamFile(handle: FileHandle, start: number, end: number): ReadableStream<Uint8Array> {
  let position = start;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const length = Math.min(chunkBytes, end - position);
          const { bytesRead, buffer } =
            length === 0
              ? { bytesRead: 0, buffer: new Uint8Array(0) }
              : await handle.read(new Uint8Array(length), 0, length, position);
          position += bytesRead;
          if (bytesRead > 0) controller.enqueue(buffer.subarray(0, bytesRead));
          if (bytesRead === 0 && position < end)
            throw new Error("The file became shorter while it was read.");
          if (position === end) {
            await handle.close();
            controller.close();
          }
        } catch (error) {
          await handle.close().catch(() => {});
          throw error;
        }
      },
      async cancel() {
        await handle.close();
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * A Node stream as a web stream that fails when it brings nothing for `idleMs` while somebody waits for it. A reader
 * who is slow himself is not counted.
 */
export function guardStream(source: Readable, idleMs: number, service: string): ReadableStream<Uint8Array> {
  const chunks: AsyncIterator<unknown> = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const idle = Promise.withResolvers<never>();
        const timer = setTimeout(
          () => idle.reject(unavailable(`${service} sent nothing for ${idleMs / 1000} s.`)),
          idleMs,
        );
        try {
          const { done, value } = await Promise.race([chunks.next(), idle.promise]);
          if (done === true) controller.close();
          else if (value instanceof Uint8Array) controller.enqueue(value);
          else throw new Error(`${service} sent a chunk that is not bytes.`);
        } catch (error) {
          source.destroy(); // ending the iterator instead would wait for the chunk that does not come
          throw error;
        } finally {
          clearTimeout(timer);
        }
      },
      cancel() {
        source.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}

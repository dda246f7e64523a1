import { describe, expect, it } from "vitest";
import { writeChunks } from "../../../../shared/blobs/files/file-writing.ts";

/** A file that takes at most so many bytes of each write. */
function fileTaking(most: number) {
  const content: number[] = [];
  return {
    content,
    async writev<Chunks extends readonly NodeJS.ArrayBufferView[]>(chunks: Chunks) {
      const bytes = Buffer.concat(chunks as unknown as Uint8Array[]).subarray(0, most);
      for (const byte of bytes) content.push(byte);
      return { bytesWritten: bytes.byteLength, buffers: chunks };
    },
  };
}

async function* chunksOf(...sizes: number[]): AsyncGenerator<Uint8Array> {
  let next = 0;
  for (const size of sizes) yield Uint8Array.from({ length: size }, () => next++ % 251);
}

const bytes = (size: number) => Array.from({ length: size }, (_, index) => index % 251);

describe("writing chunks to a file", () => {
  it.each([
    ["nothing", []],
    ["one chunk", [5]],
    ["chunks of a batch", [5, 0, 7]],
    ["many batches", [700_000, 700_000, 1, 2_000_000]],
  ])("writes %s in order", async (_, sizes) => {
    const file = fileTaking(Number.POSITIVE_INFINITY);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(await writeChunks(file, chunksOf(...sizes), () => undefined)).toBe(total);
    expect(Buffer.from(file.content).equals(Buffer.from(bytes(total)))).toBe(true);
  });

  it("goes on where a write stopped short", async () => {
    const file = fileTaking(3);
    await writeChunks(file, chunksOf(2, 2, 5, 1), () => undefined);
    expect(file.content).toEqual(bytes(10));
  });

  it("shows each chunk as it comes", async () => {
    const seen: number[] = [];
    await writeChunks(fileTaking(100), chunksOf(2, 3), (chunk) => seen.push(chunk.byteLength));
    expect(seen).toEqual([2, 3]);
  });

  it("fails when the disk does", async () => {
    const full = { writev: () => Promise.reject(new Error("ENOSPC")) };
    await expect(writeChunks(full, chunksOf(2_000_000, 2_000_000), () => undefined)).rejects.toThrow(
      "ENOSPC",
    );
  });

  it("fails when the chunks do, after what is being written", async () => {
    async function* broken() {
      yield new Uint8Array(2_000_000);
      throw new Error("the sender went away");
    }
    await expect(writeChunks(fileTaking(3e6), broken(), () => undefined)).rejects.toThrow("went away");
  });
});

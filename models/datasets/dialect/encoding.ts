import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Encoding } from "../schemas.ts";

/**
 * The encoding of a whole file: by its byte order mark, else UTF-8 if every byte of it is, else Windows-1252, as which
 * any bytes at all can be read.
 */
async function encodingOf(file: string): Promise<Encoding> {
  const marked = await byteOrderMark(file);
  if (marked !== undefined) return marked;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const chunk of chunksOf(file)) decoder.decode(chunk, { stream: true });
    decoder.decode();
    return "utf-8";
  } catch (error) {
    if (error instanceof TypeError) return "windows-1252";
    throw error;
  }
}

/** The file as UTF-8: itself, or written again in the scratch directory. */
export async function asUtf8(
  file: string,
  scratchDirectory: string,
): Promise<{ readonly file: string; readonly encoding: Encoding }> {
  const encoding = await encodingOf(file);
  if (encoding === "utf-8") return { file, encoding };
  const target = path.join(scratchDirectory, "utf-8.csv");
  await pipeline(Readable.from(decoded(file, encoding)), createWriteStream(target, { mode: 0o600 }));
  return { file: target, encoding };
}

async function* decoded(file: string, encoding: Encoding): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding);
  for await (const chunk of chunksOf(file)) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}

function chunksOf(file: string): AsyncIterable<Buffer> {
  return createReadStream(file, { highWaterMark: 1024 ** 2 });
}

async function byteOrderMark(file: string): Promise<Encoding | undefined> {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    if (buffer[0] === 0xff && buffer[1] === 0xfe) return "utf-16le";
    if (buffer[0] === 0xfe && buffer[1] === 0xff) return "utf-16be";
    return undefined;
  } finally {
    await handle.close();
  }
}

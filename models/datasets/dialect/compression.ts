import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import { Transform, type TransformCallback } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { invalid, isKetlineError, tooLarge } from "../../../shared/errors.ts";
import type { Findings } from "../schemas.ts";

type Compression = Findings["compression"];

/**
 * A text file that was packed with gzip or zstd, told by its first bytes (RFC 1952, RFC 8878), unpacked in the scratch
 * directory; any other is itself.
 *
 * @param maxBytes of what comes out: a few kilobytes may hold gigabytes
 * @throws tooLarge; invalid when the packed file is damaged or cut off
 */
export async function unpacked(
  file: string,
  scratchDirectory: string,
  maxBytes: number,
): Promise<{ readonly file: string; readonly compression: Compression }> {
  const compression = await compressionOf(file);
  if (compression === null) return { file, compression };
  const target = path.join(scratchDirectory, "unpacked");
  const unpack = compression === "gzip" ? createGunzip() : createZstdDecompress();
  try {
    await pipeline(
      createReadStream(file),
      unpack,
      atMost(maxBytes),
      createWriteStream(target, { mode: 0o600 }),
    );
  } catch (error) {
    const isDamaged = error instanceof Error && "code" in error && /^(Z_|ZSTD_)/.test(String(error.code));
    if (isKetlineError(error) || !isDamaged) throw error;
    throw invalid(`The file begins like ${compression}, but cannot be unpacked: ${error.message}.`, {
      cause: error,
    });
  }
  return { file: target, compression };
}

function atMost(maxBytes: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      bytes += chunk.byteLength;
      if (bytes <= maxBytes) return done(null, chunk);
      done(tooLarge(`The file unpacks to more than the ${maxBytes} bytes that an upload may have.`));
    },
  });
}

async function compressionOf(file: string): Promise<Compression> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    const magic = buffer.subarray(0, bytesRead).toString("hex");
    if (magic.startsWith("1f8b")) return "gzip";
    return magic === "28b52ffd" ? "zstd" : null;
  } finally {
    await handle.close();
  }
}

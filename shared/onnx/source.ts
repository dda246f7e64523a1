import { fstatSync, readSync } from "node:fs";

/** Bytes that are read in pieces, so that a file of gigabytes is never in memory as a whole. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** @returns exactly these bytes; never change them, they may be the source itself */
  read(start: number, length: number): Buffer;
}

export function bytesSource(bytes: Uint8Array): ByteSource {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    sizeBytes: bytes.byteLength,
    read: (start, length) => whole.subarray(start, start + length),
  };
}

/** @param file an open file, which stays open as long as the source is read */
export function fileSource(file: number): ByteSource {
  return {
    sizeBytes: fstatSync(file).size,
    read(start, length) {
      const bytes = Buffer.allocUnsafe(length);
      let read = 0;
      while (read < length) {
        const more = readSync(file, bytes, read, length - read, start + read);
        if (more === 0) throw new Error(`The file ends at byte ${start + read}: it was changed meanwhile.`);
        read += more;
      }
      return bytes;
    },
  };
}

import { createCipheriv, createHash } from "node:crypto";

const chunkBytes = 1024 ** 2;

/**
 * Bytes that look random, are the same for the same seed, and can be made from anywhere in the middle: the key stream of
 * AES in counter mode.
 *
 * @param offset a multiple of 16
 */
export function* seededBytes(seed: number, offset: number, length: number): Generator<Buffer> {
  const key = createHash("sha256").update(`ketline ${seed}`).digest().subarray(0, 16);
  const counter = Buffer.alloc(16);
  counter.writeBigUInt64BE(BigInt(offset / 16), 8);
  const cipher = createCipheriv("aes-128-ctr", key, counter);
  const zeros = Buffer.alloc(chunkBytes);
  for (let rest = length; rest > 0; rest -= chunkBytes) {
    yield cipher.update(rest < chunkBytes ? zeros.subarray(0, rest) : zeros);
  }
}

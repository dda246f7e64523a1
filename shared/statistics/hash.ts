/**
 * MurmurHash3, x86, 32 bits (Austin Appleby, public domain; smhasher `MurmurHash3.cpp`), over the UTF-16 code units
 * of a text taken as little-endian bytes. Not for secrets: for shares, sampling and fingerprints that every instance
 * computes alike.
 *
 * @returns an integer from 0 to 2^32 - 1
 */
export function hashText(text: string, seed: number): number {
  let h = seed | 0;
  const pairs = text.length & ~1;
  for (let i = 0; i < pairs; i += 2) {
    h = mixBlock(h, text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
  }
  if (pairs < text.length) h ^= scramble(text.charCodeAt(pairs));
  return finish(h ^ (text.length * 2));
}

/** The same hash over one 32-bit integer. */
export function hashInteger(value: number, seed: number): number {
  return finish(mixBlock(seed | 0, value | 0) ^ 4);
}

function mixBlock(h: number, block: number): number {
  const mixed = h ^ scramble(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function scramble(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

import { createHash } from "node:crypto";
import type { BlobStat, BlobStore } from "../../../shared/blobs/index.ts";

/** One file of a version as it was when the version was registered. */
export interface ManifestFile {
  /** Below the version's folder; the file's own name where a version is a single file. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** In the order of their paths. */
export type Manifest = readonly ManifestFile[];

/** More is not served either; hashing it would keep whoever registers waiting for nothing. */
const maxBytes = 4 * 1024 ** 3;
const maxFiles = 10_000;
const maxTries = 3;

/**
 * Hashes the files of a version where they lie.
 *
 * @returns null where there are none, or more than are ever served
 */
export async function takeManifest(blobs: BlobStore, prefix: string): Promise<Manifest | null> {
  for (let attempt = 1; ; attempt++) {
    const before = await filesAt(blobs, prefix);
    if (before === null || before.length === 0) return null;
    const taken: ManifestFile[] = [];
    for (const file of before) {
      const hashed = await hashOf(blobs, file, prefix);
      if (hashed !== null) taken.push(hashed);
    }
    // What was still being logged meanwhile belongs to the version as well.
    const after = await filesAt(blobs, prefix);
    if (attempt === maxTries || sameFiles(before, after)) return taken;
  }
}

async function filesAt(blobs: BlobStore, prefix: string): Promise<readonly BlobStat[] | null> {
  const files: BlobStat[] = [];
  let bytes = 0;
  let cursor: string | undefined;
  do {
    const page = await blobs.list(`${prefix}/`, cursor === undefined ? {} : { cursor });
    for (const file of page.blobs) {
      files.push(file);
      bytes += file.sizeBytes;
    }
    if (bytes > maxBytes || files.length > maxFiles) return null;
    cursor = page.cursor;
  } while (cursor !== undefined);
  if (files.length > 0) return files;
  const single = await blobs.stat(prefix);
  return single === null || single.sizeBytes > maxBytes ? [] : [single];
}

async function hashOf(blobs: BlobStore, { key }: BlobStat, prefix: string): Promise<ManifestFile | null> {
  const content = await blobs.get(key);
  if (content === null) return null;
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const bytes of content.stream) {
    hash.update(bytes);
    sizeBytes += bytes.byteLength;
  }
  const path = key === prefix ? key.slice(key.lastIndexOf("/") + 1) : key.slice(prefix.length + 1);
  return { path, sizeBytes, sha256: hash.digest("hex") };
}

function sameFiles(before: readonly BlobStat[], after: readonly BlobStat[] | null): boolean {
  const text = (files: readonly BlobStat[] | null) =>
    JSON.stringify(files?.map(({ key, sizeBytes, modifiedMs }) => [key, sizeBytes, modifiedMs]));
  return text(before) === text(after);
}

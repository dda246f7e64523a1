export type {
  BlobBody,
  BlobPage,
  BlobStat,
  BlobStore,
  ByteRange,
  ListOptions,
  LocalFile,
  StoredBlob,
} from "./blob-store.ts";
export { askingAtTheEnd } from "./bodies.ts";
export { deleteBlobs } from "./deletions.ts";
export { createBlobEndpoint } from "./endpoint/endpoint.ts";
export { createFileStore } from "./files/file-store.ts";
export { type BlobLinks, createBlobLinks, type Permission } from "./links.ts";
export { openBlobStore } from "./open.ts";
export type { BlobParts } from "./parts.ts";
export { loadSigningKey } from "./signing-key.ts";

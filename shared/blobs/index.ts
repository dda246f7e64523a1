export type {
  BlobBody,
  BlobPage,
  BlobStat,
  BlobStore,
  ListOptions,
  LocalFile,
} from "./blob-store.ts";
export { askingAtTheEnd } from "./bodies.ts";
export { deleteBlobs } from "./deletions.ts";
export { createBlobEndpoint } from "./endpoint.ts";
export { createFileStore } from "./file-store.ts";
export { type BlobLinks, createBlobLinks, type Permission } from "./links.ts";
export { openBlobStore } from "./open.ts";
export type { BlobParts } from "./parts.ts";
export { loadSigningKey } from "./signing-key.ts";

export type {
  BlobBody,
  BlobContent,
  BlobPage,
  BlobStat,
  BlobStore,
  ByteRange,
  ListOptions,
  LocalFile,
  PutOptions,
  SignedAccess,
  StoredBlob,
} from "./blob-store.ts";
export { createBlobEndpoint } from "./endpoint.ts";
export { createFileStore } from "./file-store.ts";
export { type BlobLinks, type ContainerAccess, createBlobLinks, type Permission } from "./links.ts";
export { openBlobStore } from "./open.ts";
export { loadSigningKey } from "./signing-key.ts";

import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import { unsupported } from "../errors.ts";
import type { BlobStore } from "./blob-store.ts";
import { createFileStore } from "./file-store.ts";

/** Opens the configured store. */
export async function openBlobStore(
  config: Config["blobs"],
  dependencies: { readonly signingKey: string; readonly clock: Clock },
): Promise<BlobStore> {
  if (config.kind === "file") return createFileStore({ directory: config.directory, ...dependencies });
  throw unsupported(`config.blobs.kind is "azure"; only the embedded blobs are served yet.`);
}

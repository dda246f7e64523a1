import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { BlobStore } from "./blob-store.ts";
import { createFileStore } from "./files/file-store.ts";

/** Opens the configured store. */
export async function openBlobStore(
  config: Config["blobs"],
  dependencies: { readonly signingKey: string; readonly clock: Clock },
): Promise<BlobStore> {
  if (config.kind === "file") return createFileStore({ directory: config.directory, ...dependencies });
  const { createAzureBlobStore } = await import("./azure/azure-store.ts");
  return createAzureBlobStore({ ...config, clock: dependencies.clock });
}

import type { Capability } from "../../capability.ts";
import type { Clock } from "../../clock.ts";
import type { BlobStore } from "../blob-store.ts";
import { createStagedBlocks } from "../files/staged-blocks.ts";
import type { BlobLinks } from "../links.ts";
import { blobRoutes } from "./routes.ts";

/**
 * Serves the links that `BlobLinks` and the file store's `signedUrl` hand out, in as much of Azure's Blob service as its
 * stock clients use: Put Blob, Put Block, Put Block List, Get Blob, Get Blob Properties, Delete Blob, List Blobs and
 * Get Container Properties.
 */
export function createBlobEndpoint(options: {
  readonly store: BlobStore;
  readonly links: BlobLinks;
  readonly clock: Clock;
  readonly maxUploadBytes: number;
  /** @throws conflict where what would be written or deleted must stay as it is. */
  readonly refuseFrozen?: (key: string, change: "write" | "delete") => Promise<void>;
}): Capability {
  const blocks = createStagedBlocks(options.store);
  return {
    routes: blobRoutes({ ...options, blocks }),
    jobKinds: [],
    timers: [
      {
        name: "blobs-sweep",
        schedule: "0 40 3 * * *",
        run: async () => {
          await blocks.sweep(options.clock());
        },
      },
    ],
  };
}

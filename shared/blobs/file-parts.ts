import { createHash } from "node:crypto";
import { invalid } from "../errors.ts";
import type { BlobStore } from "./blob-store.ts";
import type { BlobLinks } from "./links.ts";
import { type BlobParts, blockIdOf, checkParts, linkToBlock, missingPart } from "./parts.ts";
import { createStagedBlocks, etagOfBlock } from "./staged-blocks.ts";

/** Parts through links of our own (see `routes.ts`), each staged as a file until they are copied into one. */
export function createFileParts(
  store: Pick<BlobStore, "put" | "get" | "list" | "delete">,
  links: Pick<BlobLinks, "blobUrl">,
): BlobParts {
  const blocks = createStagedBlocks(store);
  return {
    signedUrl: async ({ key, uploadId, number }, access) =>
      linkToBlock(links.blobUrl(key, { ...access, method: "PUT" }), blockIdOf(uploadId, number)),

    async join({ key, uploadId }, parts, options = {}) {
      checkParts(parts);
      const numberOf = new Map(parts.map(({ number }) => [blockIdOf(uploadId, number), number]));
      const etagOf = new Map(parts.map(({ number, etag }) => [number, etag]));
      await blocks.join(key, [...numberOf.keys()], {
        ...options,
        missing: (id) => missingPart(numberOf.get(id) ?? 0),
        // Hashed while they are copied: the parts are read once, and a part that went bad on the disk is found as well.
        observe(id) {
          const hash = createHash("sha256");
          return {
            chunk: (chunk) => hash.update(chunk),
            end() {
              const number = numberOf.get(id) ?? 0;
              const given = etagOf.get(number) ?? "";
              const etag = etagOfBlock(hash.digest("hex"));
              if (given !== "" && given.replaceAll('"', "") !== etag.replaceAll('"', "")) {
                throw invalid(`Part ${number} has the ETag ${etag}, not ${given}: send the part again.`);
              }
            },
          };
        },
      });
    },

    async discard({ key, uploadId }) {
      await blocks.discard(key, `${uploadId}-`);
    },
  };
}

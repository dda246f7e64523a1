import { createHash } from "node:crypto";
import { invalid } from "../../errors.ts";
import type { BlobStore } from "../blob-store.ts";
import type { BlobLinks } from "../links.ts";
import {
  type ArrivedPart,
  type BlobParts,
  type BlobUpload,
  blockIdOf,
  checkParts,
  type JoinOptions,
  missingPart,
} from "../parts.ts";
import { createStagedBlocks, etagOfBlock } from "./staged-blocks.ts";

/** Parts through links of our own (see `routes.ts`), each staged as a file until they are copied into one. */
export function createFileParts(
  store: Pick<BlobStore, "put" | "get" | "list" | "delete">,
  links: Pick<BlobLinks, "blockUrl">,
): BlobParts {
  const blocks = createStagedBlocks(store);
  /** What is being joined. Copying gigabytes takes longer than some clients wait before they ask again. */
  const underway = new Map<string, Promise<void>>();
  return {
    signedUrl: async ({ key, uploadId, number }, access) =>
      links.blockUrl(key, blockIdOf(uploadId, number), access),

    join(upload, parts, options = {}) {
      const request = JSON.stringify([upload.key, upload.uploadId, parts]);
      const joining = underway.get(request) ?? join(upload, parts, options);
      underway.set(request, joining);
      return joining.finally(() => underway.delete(request));
    },

    async discard({ key, uploadId }) {
      await blocks.discard(key, `${uploadId}-`);
    },
  };

  async function join(
    { key, uploadId }: BlobUpload,
    parts: readonly ArrivedPart[],
    options: JoinOptions,
  ): Promise<void> {
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
  }
}

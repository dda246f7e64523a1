import type { BlobStore } from "./blob-store.ts";

const deletionsAtOnce = 8;

/** Deletes blobs, some at a time. @returns those that were there; one that somebody else was faster to delete is theirs. */
export async function deleteBlobs<Blob extends { readonly key: string }>(
  blobs: Pick<BlobStore, "delete">,
  found: readonly Blob[],
): Promise<Blob[]> {
  const deleted = new Set<Blob>();
  const rest = [...found];
  const deleteSome = async () => {
    for (let blob = rest.pop(); blob !== undefined; blob = rest.pop()) {
      if (await blobs.delete(blob.key)) deleted.add(blob);
    }
  };
  await Promise.all(Array.from({ length: deletionsAtOnce }, deleteSome));
  return found.filter((blob) => deleted.has(blob));
}

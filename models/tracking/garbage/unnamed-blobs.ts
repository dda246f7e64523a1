import type { BlobStat, BlobStore } from "../../../shared/blobs/index.ts";
import { prefixOf } from "../artifacts/artifact-uris.ts";
import type { Store } from "../store/statement.ts";
import { pathsTo, type UsesInForce } from "./artifact-uses.ts";
import { type Scope, selectOwners } from "./store.ts";

const pageSize = 1000;

export interface Search {
  /** A blob key prefix without a trailing slash. */
  readonly prefix: string;
  readonly modifiedBeforeMs?: number;
  /** Counts what may go as gone: for finding out what would be left without it. */
  readonly asIfGone?: Scope;
}

/**
 * The blobs below a prefix that belong to nobody: to no run, no logged model and no use. One page after the other; between
 * two pages others may write. Who owns a blob is found by the ids in its path, so that a page costs two queries.
 */
export async function* unnamedBlobs(
  ground: { readonly blobs: BlobStore; readonly store: Store; readonly uses: () => Promise<UsesInForce> },
  { prefix, modifiedBeforeMs = Number.POSITIVE_INFINITY, asIfGone }: Search,
): AsyncGenerator<BlobStat[]> {
  const { blobs, store, uses } = ground;
  let cursor: string | undefined;
  do {
    const page = await blobs.list(`${prefix}/`, {
      limit: pageSize,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const old = page.blobs.filter(({ modifiedMs }) => modifiedMs < modifiedBeforeMs);
    if (old.length > 0) {
      const segments = old.flatMap(({ key }) => key.split("/").slice(1, -1));
      const owners = await selectOwners(store, [...new Set(segments)], asIfGone ?? { cutoffMs: 0 });
      // After the owners: a version that was made of one meanwhile is among the uses then.
      const inForce = await uses();
      const named = new Set<string>();
      for (const { id, artifact_uri, is_garbage } of owners) {
        const place = keptAt(artifact_uri);
        if (place === undefined) continue;
        const goes = asIfGone !== undefined && is_garbage === 1 && !inForce.needs({ id, prefix: place });
        if (!goes) named.add(place);
      }
      const unnamed = old.filter(
        ({ key }) => !inForce.covers(key) && !pathsTo(key).some((at) => named.has(at)),
      );
      if (unnamed.length > 0) yield unnamed;
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** The blob key prefix of an artifact URI; undefined for files that are kept elsewhere. */
export function keptAt(uri: string): string | undefined {
  try {
    return prefixOf(uri);
  } catch {
    return undefined; // another scheme, or no path that anybody could have written to
  }
}

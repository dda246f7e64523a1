/**
 * What others still need of the artifacts that runs and logged models left behind. The registry knows it: a version
 * outlives the deletion of the run that made it. Tracking must not know the registry, whose arrow points here, so the
 * composition root hands this in.
 */
export interface ArtifactUses {
  /** Another number whenever the uses may have changed. Cheap. */
  revision(): Promise<number>;
  all(): AsyncIterable<ArtifactUse>;
}

export interface ArtifactUse {
  readonly runId: string | null;
  readonly modelId: string | null;
  /** Any artifact URI. */
  readonly location: string;
}

/** The uses at one revision. */
export interface UsesInForce {
  /** Whether somebody needs this run or logged model, or a file below its artifacts. */
  needs(owner: { readonly id: string; readonly prefix: string | undefined }): boolean;
  /** Whether a blob lies below a place that somebody needs. */
  covers(key: string): boolean;
}

/**
 * Reads the uses, again only when they have changed.
 *
 * @param prefixOf the blob key prefix of an artifact URI; undefined for files that are kept elsewhere
 */
export function followUses(
  uses: ArtifactUses,
  prefixOf: (uri: string) => string | undefined,
): () => Promise<UsesInForce> {
  let known: { readonly revision: number; readonly inForce: UsesInForce } | undefined;
  return async () => {
    // Asked before they are read: what changes meanwhile is read again by the next question.
    const revision = await uses.revision();
    if (known?.revision !== revision) known = { revision, inForce: await read(uses, prefixOf) };
    return known.inForce;
  };
}

async function read(uses: ArtifactUses, prefixOf: (uri: string) => string | undefined): Promise<UsesInForce> {
  const ids = new Set<string>();
  const places = new Set<string>();
  /** Every place with all that are above it, to find out whether something below a prefix is needed. */
  const withParents = new Set<string>();
  for await (const { runId, modelId, location } of uses.all()) {
    for (const id of [runId, modelId]) if (id !== null) ids.add(id);
    const place = prefixOf(location);
    if (place === undefined) continue;
    places.add(place);
    for (const at of pathsTo(place)) withParents.add(at);
  }
  const covers = (key: string) => pathsTo(key).some((at) => places.has(at));
  return {
    covers,
    needs: ({ id, prefix }) =>
      ids.has(id) || (prefix !== undefined && (withParents.has(prefix) || covers(prefix))),
  };
}

/** `a/b/c` lies at `a`, `a/b` and `a/b/c`. */
export function pathsTo(key: string): string[] {
  const segments = key.split("/");
  return segments.map((_, index) => segments.slice(0, index + 1).join("/"));
}

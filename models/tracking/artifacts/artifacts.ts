import type { BlobBody, BlobStat, BlobStore, StoredBlob } from "../../../shared/blobs/index.ts";
import { askingAtTheEnd } from "../../../shared/blobs/index.ts";
import { invalid, notFound } from "../../../shared/errors.ts";
import { storeOf, type TrackingContext } from "../context.ts";
import { requireLoggedModel } from "../logged-models.ts";
import { requireRun } from "../runs.ts";
import { artifactKey, joinUri, prefixOf } from "./artifact-uris.ts";

export interface ArtifactFile {
  /** Its name in the directory. */
  readonly name: string;
  readonly isDirectory: boolean;
  readonly sizeBytes?: number;
}

/** What lies in a directory, by name; nothing when there is none. @param prefix a blob key prefix, no trailing slash */
export async function listDirectory(blobs: BlobStore, prefix: string): Promise<ArtifactFile[]> {
  const files: ArtifactFile[] = [];
  const nameOf = (key: string) => key.slice(prefix.length + 1).replace(/\/$/, "");
  let cursor: string | undefined;
  do {
    const page = await blobs.list(`${prefix}/`, {
      delimiter: "/",
      limit: 5000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const blob of page.blobs) {
      files.push({ name: nameOf(blob.key), isDirectory: false, sizeBytes: blob.sizeBytes });
    }
    for (const directory of page.prefixes) files.push({ name: nameOf(directory), isDirectory: true });
    cursor = page.cursor;
  } while (cursor !== undefined);
  return files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** @throws notFound; invalid for a directory. */
export async function statArtifact(blobs: BlobStore, key: string, shown: string): Promise<BlobStat> {
  const stat = key === "artifacts" ? null : await blobs.stat(key);
  if (stat !== null) return stat;
  const below = await blobs.list(`${key}/`, { limit: 1 });
  if (below.blobs.length > 0) throw invalid(`Artifact path refers to a directory, not a file: '${shown}'`);
  throw notFound(`There is no artifact '${shown}'.`);
}

/** @param path relative to the root of all artifacts. @throws tooLarge, invalid. */
export async function putArtifact(
  context: TrackingContext,
  path: string,
  body: BlobBody,
  options: { readonly signal?: AbortSignal; readonly contentType?: string } = {},
): Promise<StoredBlob> {
  const key = artifactKey(path);
  if (key === "artifacts" || path.endsWith("/")) throw invalid("Invalid path", { field: "path" });
  const mayChange = async () => context.refuseFrozen?.(key, "write");
  await mayChange();
  await refuseFileInFile(context.blobs, key);
  return context.blobs.put(key, askingAtTheEnd(body, mayChange), {
    maxBytes: context.maxArtifactBytes,
    ...options,
  });
}

/**
 * A store of blobs takes `a.txt` beside `a.txt/b.txt`; no disk does, so that nobody could download the two again.
 *
 * @throws invalid naming the file that stands in the way
 */
export async function refuseFileInFile(blobs: BlobStore, key: string): Promise<void> {
  const segments = key.split("/");
  const above = segments
    .slice(firstFolder, -1)
    .map((_, i) => segments.slice(0, firstFolder + i + 1).join("/"));
  const [below, ...files] = await Promise.all([
    blobs.list(`${key}/`, { limit: 1 }),
    ...above.map((folder) => blobs.stat(folder)),
  ]);
  const file = files.find((stat) => stat !== null);
  const shown = (of: string) => of.slice("artifacts/".length);
  if (file != null) {
    throw invalid(
      `Invalid path '${shown(key)}': '${shown(file.key)}' is a file, and no file can lie in another.`,
      { field: "path" },
    );
  }
  if (below.blobs.length > 0) {
    throw invalid(
      `Invalid path '${shown(key)}': it is a directory, in which '${shown(below.blobs[0]?.key ?? "")}' lies.`,
      { field: "path" },
    );
  }
}

/** Of `artifacts/<experiment>/…`: what is above belongs to the server. */
const firstFolder = 2;

/**
 * Removes a file, or a directory with all that is in it. Nothing happens when there is none.
 *
 * @throws conflict when any of it belongs to a registered model version
 */
export async function deleteArtifacts(context: TrackingContext, key: string): Promise<void> {
  const { blobs } = context;
  if (key === "artifacts") throw invalid("Invalid path", { field: "path" });
  await context.refuseFrozen?.(key, "delete");
  await blobs.delete(key);
  for (;;) {
    const { blobs: found } = await blobs.list(`${key}/`, { limit: 1000 });
    if (found.length === 0) return;
    for (const blob of found) await blobs.delete(blob.key);
  }
}

/**
 * Where a URI's files are, as a `mlflow-artifacts:` URI or a foreign one.
 *
 * @param uri `runs:/<run>/<path>`, `models:/m-<id>/<path>` or `mlflow-artifacts:/<path>`
 * @throws notFound for an unknown run or model; invalid for another scheme, or a path that leaves its root.
 */
export async function resolveArtifactUri(context: TrackingContext, uri: string): Promise<string> {
  const run = /^runs:\/+([^/]+)\/?(.*)$/.exec(uri);
  if (run?.[1] !== undefined) {
    const { artifact_uri } = await requireRun(storeOf(context), run[1]);
    return joinUri(artifact_uri, run[2] ?? "");
  }
  const model = /^models:\/+(m-[0-9a-f]{32})\/?(.*)$/.exec(uri);
  if (model?.[1] !== undefined) {
    const { artifact_uri } = await requireLoggedModel(storeOf(context), model[1]);
    return joinUri(artifact_uri, model[2] ?? "");
  }
  if (uri.startsWith("mlflow-artifacts:")) {
    prefixOf(uri);
    return uri;
  }
  throw invalid(
    `The artifact URI '${uri.slice(0, 200)}' is not understood: runs:/<run id>/<path>, models:/m-<id> and mlflow-artifacts:/<path> are.`,
  );
}

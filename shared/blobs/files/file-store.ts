import { createHash, type Hash, randomUUID } from "node:crypto";
import { constants, type Stats } from "node:fs";
import {
  type FileHandle,
  link,
  lstat,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  unlink,
} from "node:fs/promises";
import path from "node:path";
import { type Clock, systemClock } from "../../clock.ts";
import { checkDisk, diskFault } from "../../disk-condition.ts";
import { conflict, invalid, type KetlineError, notFound } from "../../errors.ts";
import { keepPrivate } from "../../private-files.ts";
import type {
  BlobBody,
  BlobPage,
  BlobStat,
  BlobStore,
  ByteRange,
  ListOptions,
  PutOptions,
  StoredBlob,
} from "../blob-store.ts";
import { boundsOf, checkRange, chunksOf, discardBody, streamFile } from "../bodies.ts";
import { defaultContentType } from "../content-types.ts";
import { checkKey, checkLimit, checkPrefix, directoryName, fileName } from "../keys.ts";
import { createBlobLinks } from "../links.ts";
import {
  codeOf,
  createDurableTree,
  openDirectory,
  openTemporary,
  outside,
  sweepTemporaries,
} from "./durable-files.ts";
import { afterCursor, cursorAfter, type Listed, walk } from "./file-listing.ts";
import { createFileParts } from "./file-parts.ts";
import { writeChunks } from "./file-writing.ts";

export interface FileStoreOptions {
  readonly directory: string;
  /** Signs the links of `signedUrl`, which `blobRoutes` serves. */
  readonly signingKey: string;
  readonly clock?: Clock;
}

const storeName = "The store of files";
const abandonedAfterMs = 60 * 60_000;

/**
 * Blobs as files.
 *
 * ```
 * <directory>/data/<key>      the content and nothing else, so that any library can read it
 * <directory>/types/<key>     its content type, only where the extension of the key does not say it
 * <directory>/incoming/<id>   what is still being uploaded
 * ```
 *
 * A put writes to `incoming`, syncs the file, gives it its name (`link` for `ifAbsent`, which only one of two writers
 * can win; `rename` otherwise) and syncs the directories. A crash leaves the old blob or the new one whole. The content
 * type of an overwritten blob may then be that of the other one: it is a hint, and the content is never mixed.
 */
export async function createFileStore(options: FileStoreOptions): Promise<BlobStore> {
  const { clock = systemClock } = options;
  const directory = await openDirectory(options.directory);
  const data = await openDirectory(path.join(directory, "data"));
  const types = await openDirectory(path.join(directory, "types"));
  const incoming = await openDirectory(path.join(directory, "incoming"));
  for (const folder of [directory, data, types, incoming]) keepPrivate(folder);
  await sweepTemporaries(incoming, Date.now() - abandonedAfterMs);
  const dataTree = createDurableTree(data);
  const typeTree = createDurableTree(types);
  const links = createBlobLinks({ signingKey: options.signingKey, clock });
  const turns = createTurns();

  async function put(key: string, body: BlobBody, putOptions: PutOptions = {}): Promise<StoredBlob> {
    try {
      return await putWhole(key, body, putOptions);
    } catch (error) {
      await discardBody(body);
      throw error;
    }
  }

  async function putWhole(key: string, body: BlobBody, putOptions: PutOptions): Promise<StoredBlob> {
    checkKey(key);
    const { ifAbsent = false, contentType = defaultContentType(key) } = putOptions;
    if (ifAbsent && (await statFile(fileOf(data, key))) !== null) throw taken(key);
    const temporary = await openTemporary(incoming);
    try {
      const hash = createHash("sha256");
      let sizeBytes: number;
      try {
        sizeBytes = await write(temporary.handle, hash, body, putOptions);
        await temporary.handle.sync();
      } finally {
        await temporary.handle.close();
      }
      await turns.take(key, () =>
        whole(key, async () => {
          await commit(key, temporary.file, ifAbsent);
          await setContentType(key, contentType);
        }),
      );
      return { key, sizeBytes, sha256: hash.digest("hex") };
    } finally {
      await rm(temporary.file, { force: true });
    }
  }

  /**
   * Changes a blob, or leaves it as it was: a disk that fails at the last step, after the name was given or taken, must
   * not leave done what the caller is told has failed. The old content is kept under another name meanwhile.
   */
  async function whole(key: string, change: () => Promise<void>): Promise<void> {
    const file = fileOf(data, key);
    const before = path.join(incoming, randomUUID());
    const hadBefore = await linkIfThere(file, before);
    try {
      await change();
    } catch (error) {
      if (isMachineFault(error)) await undo(file, hadBefore ? before : undefined);
      throw error;
    } finally {
      if (hadBefore) await rm(before, { force: true }).catch(() => undefined);
    }
  }

  async function undo(file: string, before: string | undefined): Promise<void> {
    try {
      if (before === undefined) await rm(file, { force: true });
      else await dataTree.commit(path.dirname(file), () => rename(before, file));
    } catch {
      // A disk that refuses this too: the first error is told.
    }
  }

  async function commit(key: string, temporary: string, ifAbsent: boolean): Promise<void> {
    const file = fileOf(data, key);
    try {
      await dataTree.commit(path.dirname(file), async () => {
        await refuseLinks(path.dirname(file));
        await (ifAbsent ? link(temporary, file) : rename(temporary, file));
      });
    } catch (error) {
      if (codeOf(error) === "EEXIST") throw taken(key);
      if (codeOf(error) === "ENAMETOOLONG") {
        throw invalid(`The blob key "${key}" is longer than the paths of this file system.`, {
          field: "key",
        });
      }
      throw error;
    }
  }

  async function setContentType(key: string, contentType: string): Promise<void> {
    const file = fileOf(types, key);
    if (contentType === defaultContentType(key)) return forgetContentType(file);
    const temporary = await openTemporary(incoming);
    try {
      await temporary.handle.writeFile(contentType);
      await temporary.handle.sync();
    } finally {
      await temporary.handle.close();
    }
    await typeTree.commit(path.dirname(file), () => rename(temporary.file, file));
  }

  async function forgetContentType(file: string): Promise<void> {
    try {
      await unlink(file);
    } catch (error) {
      if (isAbsent(error)) return;
      throw error;
    }
    await typeTree.prune(path.dirname(file));
  }

  async function contentTypeOf(key: string): Promise<string> {
    try {
      return await readFile(fileOf(types, key), "utf8");
    } catch (error) {
      if (isAbsent(error)) return defaultContentType(key);
      throw error;
    }
  }

  async function statOf(key: string, stats: Stats): Promise<BlobStat> {
    return blobStat(key, stats, await contentTypeOf(key));
  }

  async function get(key: string, range?: ByteRange) {
    checkKey(key);
    checkRange(range);
    const handle = await openBlob(key);
    if (handle === null) return null;
    try {
      const stats = await handle.stat();
      const { start, end } = boundsOf(range, stats.size);
      const stat = await statOf(key, stats);
      if (start < end) return { stat, stream: streamFile(handle, start, end) };
      // Whoever knows from the size that there is nothing to read may never ask.
      await handle.close();
      return { stat, stream: new Blob([]).stream() };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async function openBlob(key: string): Promise<FileHandle | null> {
    const file = fileOf(data, key);
    try {
      await refuseLinks(path.dirname(file));
      return await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }

  async function stat(key: string): Promise<BlobStat | null> {
    checkKey(key);
    return statKnown(key);
  }

  async function statKnown(key: string): Promise<BlobStat | null> {
    const stats = await statFile(fileOf(data, key));
    return stats === null ? null : statOf(key, stats);
  }

  async function list(prefix: string, listOptions: ListOptions = {}): Promise<BlobPage> {
    checkPrefix(prefix);
    const { limit = 1000, cursor, delimiter } = listOptions;
    checkLimit(limit);
    const found: Listed[] = [];
    const after = afterCursor(cursor);
    for await (const listed of walk(data, { prefix, delimiter: delimiter !== undefined, after })) {
      found.push(listed);
      if (found.length > limit) break;
    }
    const page = found.slice(0, limit);
    const last = page.at(-1);
    const more = found.length > limit && last !== undefined;
    return {
      blobs: await statAll(page.flatMap(({ kind, key }) => (kind === "blob" ? [key] : []))),
      prefixes: page.flatMap(({ kind, key }) => (kind === "prefix" ? [key] : [])),
      ...(more ? { cursor: cursorAfter(last.key) } : {}),
    };
  }

  /** Some at a time; those that were deleted since their directory was read are left out. */
  async function statAll(keys: readonly string[]): Promise<BlobStat[]> {
    // What holds for all files of a directory is asked once: a page of thousands would spend most of its time on it.
    const directories = new Map<string, Promise<ListedDirectory>>();
    const statOne = async (key: string): Promise<BlobStat | null> => {
      const file = fileOf(data, key);
      const directory = path.dirname(file);
      const known = directories.get(directory) ?? describeDirectory(directory);
      directories.set(directory, known);
      const { isOurs, typed } = await known;
      const stats = isOurs ? await lstatIfThere(file) : null;
      if (stats === null || !stats.isFile()) return null;
      return blobStat(key, stats, typed.has(path.basename(file)) ? await contentTypeOf(key) : undefined);
    };
    const stats: BlobStat[] = [];
    for (let at = 0; at < keys.length; at += 64) {
      for (const found of await Promise.all(keys.slice(at, at + 64).map(statOne))) {
        if (found !== null) stats.push(found);
      }
    }
    return stats;
  }

  /** Whether no link leads there, and which of its files have a content type that their names do not say. */
  async function describeDirectory(directory: string): Promise<ListedDirectory> {
    const isOurs = (await realpath(directory).catch(() => undefined)) === directory;
    const names = await readdir(path.join(types, path.relative(data, directory))).catch((error: unknown) => {
      if (isAbsent(error)) return [];
      throw error;
    });
    return { isOurs, typed: new Set(names) };
  }

  async function remove(key: string): Promise<boolean> {
    checkKey(key);
    return turns.take(key, async () => {
      const file = fileOf(data, key);
      if ((await statFile(file)) === null) return false;
      try {
        await whole(key, async () => {
          await unlink(file);
          await dataTree.prune(path.dirname(file));
          await forgetContentType(fileOf(types, key));
        });
      } catch (error) {
        if (isAbsent(error)) return false;
        throw error;
      }
      return true;
    });
  }

  async function localFile(key: string) {
    checkKey(key);
    const file = fileOf(data, key);
    if ((await statFile(file)) === null) throw notFound(`There is no blob "${key}".`);
    return { path: file, [Symbol.asyncDispose]: async () => {} };
  }

  /** What the last write met; while it was a fault, a small file is written to see whether it still is. */
  let fault: KetlineError | null = null;
  async function check(): Promise<void> {
    if (fault !== null) await told(probe)();
    await checkDisk(storeName, directory);
  }

  async function probe(): Promise<void> {
    const temporary = await openTemporary(incoming);
    try {
      await temporary.handle.writeFile("probe");
      await temporary.handle.sync();
    } finally {
      await temporary.handle.close();
      await rm(temporary.file, { force: true });
    }
    fault = null;
  }

  function told<Arguments extends unknown[], Result>(
    call: (...given: Arguments) => Promise<Result>,
  ): (...given: Arguments) => Promise<Result> {
    return async (...given) => {
      try {
        return await call(...given);
      } catch (error) {
        const met = diskFault(storeName, error);
        if (met === undefined) throw error;
        fault = met;
        throw met;
      }
    };
  }

  /** A link placed inside the tree by somebody else must not lead out of it. */
  async function refuseLinks(parent: string): Promise<void> {
    if ((await realpath(parent)) !== parent) throw outside();
  }

  async function statFile(file: string): Promise<Stats | null> {
    try {
      await refuseLinks(path.dirname(file));
      const stats = await lstat(file);
      return stats.isFile() ? stats : null;
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }

  const bytes = {
    put: told(put),
    get: told(get),
    list: told(list),
    delete: told(remove),
  };
  return {
    ...bytes,
    stat: told(stat),
    localFile: told(localFile),
    check,
    signedUrl: async (key, access) => links.blobUrl(key, access),
    parts: createFileParts(bytes, links),
    linksBypassServer: false,
  };
}

async function write(handle: FileHandle, hash: Hash, body: BlobBody, options: PutOptions): Promise<number> {
  const sizeBytes = await writeChunks(handle, chunksOf(body, options), (chunk) => hash.update(chunk));
  options.signal?.throwIfAborted();
  return sizeBytes;
}

/** Changes of one key happen one after the other, so that a content and its type belong together. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return {
    async take<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
      const turn = (last.get(key) ?? Promise.resolve()).then(work, work);
      last.set(key, turn);
      try {
        return await turn;
      } finally {
        if (last.get(key) === turn) last.delete(key);
      }
    },
  };
}

interface ListedDirectory {
  readonly isOurs: boolean;
  readonly typed: ReadonlySet<string>;
}

function blobStat(key: string, stats: Stats, contentType = defaultContentType(key)): BlobStat {
  return { key, sizeBytes: stats.size, modifiedMs: Math.floor(stats.mtimeMs), contentType };
}

async function lstatIfThere(file: string): Promise<Stats | null> {
  try {
    return await lstat(file);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

function fileOf(room: string, key: string): string {
  const segments = key.split("/");
  const name = segments.pop() ?? "";
  return path.join(room, ...segments.map(directoryName), fileName(name));
}

/** What the machine did, and not that the blob exists already or its key is too long. */
function isMachineFault(error: unknown): boolean {
  return diskFault(storeName, error) !== undefined;
}

/** @returns whether there was a file to give another name */
async function linkIfThere(file: string, name: string): Promise<boolean> {
  try {
    await link(file, name);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"].includes(codeOf(error) ?? "");
}

function taken(key: string) {
  return conflict(`The blob "${key}" exists already.`, { code: "BlobAlreadyExists" });
}

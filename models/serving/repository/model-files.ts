import { createHash, type Hash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { inflateRaw } from "node:zlib";
import type { BlobStat, BlobStore } from "../../../shared/blobs/index.ts";
import { conflict, invalid, notFound, tooLarge } from "../../../shared/errors.ts";
import {
  type Bundles,
  bundleFolder,
  indexFile,
  maxIndexBytes,
  readBundleIndex,
  type SubModel,
} from "../bundles/bundle-index.ts";
import type { RegisteredFile } from "./model-source.ts";

/** The files of model versions on the local disk, where ONNX Runtime can read them. */
export interface ModelFiles {
  /**
   * Makes a version's files available and keeps them from being cleared away until `use` is done.
   *
   * @param prefix where they lie in the blob store, or the key of a single file
   * @param registered what they have to be; null where nobody took that down
   * @throws notFound when nothing lies there; tooLarge past the limit; invalid for a path that would leave the folder;
   *   conflict for a file that is not as it was registered
   */
  withFolder<Result>(
    prefix: string,
    registered: readonly RegisteredFile[] | null,
    use: (directory: string, sizeBytes: number) => Promise<Result>,
  ): Promise<Result>;
  /**
   * The same for a model that lies compressed within a bundle: a folder with nothing but that.
   *
   * @throws conflict when it is not as the version's index says; notFound when its bundle is gone
   */
  withSubModel<Result>(
    prefix: string,
    model: SubModel,
    use: (directory: string, sizeBytes: number) => Promise<Result>,
  ): Promise<Result>;
  /** The version's models by key; null where it has none. @throws conflict, invalid */
  bundlesOf(prefix: string, registered: readonly RegisteredFile[] | null): Promise<Bundles | null>;
}

export interface ModelFilesOptions {
  readonly blobs: BlobStore;
  readonly directory: string;
  /** Of one version. */
  readonly maxVersionBytes: number;
  /** Of all versions together; what was not used for longest goes first. */
  readonly maxBytes: number;
}

export function createModelFiles(options: ModelFilesOptions): ModelFiles {
  const { blobs, directory } = options;
  const pending = new Map<string, Promise<void>>();
  const inUse = new Map<string, number>();
  let cache: Promise<Map<string, number>> | undefined;

  const ensure = async (name: string, sizeBytes: number, fetch: (folder: string) => Promise<void>) => {
    cache ??= readCache(directory);
    const sizes = await cache;
    const folder = path.join(directory, name);
    if (await exists(folder)) await utimes(folder, new Date(), new Date());
    else await fetch(folder);
    sizes.delete(name);
    sizes.set(name, sizeBytes);
    await clearAway(options, sizes, inUse);
  };
  const withFolderOf = async <Result>(
    name: string,
    sizeBytes: number,
    fetch: (folder: string) => Promise<void>,
    use: (directory: string, sizeBytes: number) => Promise<Result>,
  ): Promise<Result> => {
    inUse.set(name, (inUse.get(name) ?? 0) + 1);
    try {
      let ready = pending.get(name);
      if (ready === undefined) {
        ready = ensure(name, sizeBytes, fetch).finally(() => pending.delete(name));
        pending.set(name, ready);
      }
      await ready;
      return await use(path.join(directory, name), sizeBytes);
    } finally {
      const users = (inUse.get(name) ?? 1) - 1;
      if (users === 0) inUse.delete(name);
      else inUse.set(name, users);
    }
  };
  return {
    async withFolder(prefix, registered, use) {
      const byKey = hasBundles(registered);
      // Models of single keys are fetched one by one.
      const own = byKey
        ? registered?.filter((file) => !file.path.startsWith(`${bundleFolder}/`))
        : registered;
      const leaveOut = byKey ? `${prefix}/${bundleFolder}/` : undefined;
      const files = await filesOf(blobs, prefix, options.maxVersionBytes, leaveOut);
      const fetch = (folder: string) => download(blobs, folder, prefix, files, own ?? null);
      return withFolderOf(fingerprint(prefix, files), sizeOf(files), fetch, use);
    },
    withSubModel(prefix, model, use) {
      const { file, offset, length, sizeBytes, sha256 } = model;
      const key = `${prefix}/${file}`;
      if (sizeBytes > options.maxVersionBytes)
        throw tooLarge(
          `The model of the key has ${sizeBytes} bytes; at most ${options.maxVersionBytes} are served.`,
        );
      const name = createHash("sha256").update(`${key}\n${offset}\n${sha256}`).digest("hex").slice(0, 32);
      const fetch = async (folder: string) => {
        const content = await blobs.get(key, { offset, length });
        if (content === null) throw notFound(`The file ${key} of the model is not there any more.`);
        const compressed = new Uint8Array(await new Response(content.stream).arrayBuffer());
        const bytes = await inflated(compressed, sizeBytes).catch(() => null);
        if (bytes === null || createHash("sha256").update(bytes).digest("hex") !== sha256)
          throw changed(file, true);
        const partial = `${folder}.${randomUUID()}.partial`;
        try {
          await mkdir(partial, { recursive: true, mode: 0o700 });
          await writeFile(path.join(partial, "model.onnx"), bytes, { mode: 0o600 });
          await rename(partial, folder).catch(async (error: unknown) => {
            if (!(await exists(folder))) throw error;
          });
        } finally {
          await rm(partial, { recursive: true, force: true });
        }
      };
      return withFolderOf(name, sizeBytes, fetch, use);
    },
    async bundlesOf(prefix, registered) {
      const expected = registered?.find((file) => file.path === indexFile);
      if (expected === undefined) return null;
      const content = await blobs.get(`${prefix}/${indexFile}`);
      if (content === null) throw changed(indexFile, false);
      if (content.stat.sizeBytes > maxIndexBytes) {
        await content.stream.cancel();
        throw tooLarge(
          `Its ${indexFile} has ${content.stat.sizeBytes} bytes; at most ${maxIndexBytes} are read.`,
        );
      }
      const bytes = new Uint8Array(await new Response(content.stream).arrayBuffer());
      if (createHash("sha256").update(bytes).digest("hex") !== expected.sha256)
        throw changed(indexFile, true);
      return readBundleIndex(bytes);
    },
  };
}

const inflated = promisify(
  (compressed: Uint8Array, sizeBytes: number, done: (error: Error | null, bytes: Buffer) => void) =>
    inflateRaw(compressed, { maxOutputLength: Math.max(1, sizeBytes) }, done),
);

function hasBundles(registered: readonly RegisteredFile[] | null): boolean {
  return registered?.some((file) => file.path === indexFile) === true;
}

function sizeOf(files: readonly BlobStat[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function filesOf(
  blobs: BlobStore,
  prefix: string,
  maxBytes: number,
  leaveOut: string | undefined,
): Promise<readonly BlobStat[]> {
  const files: BlobStat[] = [];
  let bytes = 0;
  let cursor: string | undefined;
  do {
    const page = await blobs.list(`${prefix}/`, cursor === undefined ? {} : { cursor });
    for (const file of page.blobs) {
      if (leaveOut !== undefined && file.key.startsWith(leaveOut)) continue;
      files.push(file);
      bytes += file.sizeBytes;
    }
    cursor = page.cursor;
    if (bytes > maxBytes) {
      throw tooLarge(
        `The files of the model have more than ${maxBytes} bytes; that is the most that is served.`,
      );
    }
  } while (cursor !== undefined);
  if (files.length > 0) return files;
  const single = await blobs.stat(prefix);
  if (single === null) throw notFound(`The files of the model are not there any more (${prefix}).`);
  if (single.sizeBytes > maxBytes) {
    throw tooLarge(`The model has ${single.sizeBytes} bytes; at most ${maxBytes} are served.`);
  }
  return [single];
}

/** Other bytes under the same name get another folder. */
function fingerprint(prefix: string, files: readonly BlobStat[]): string {
  const hash = createHash("sha256").update(prefix);
  for (const { key, sizeBytes, modifiedMs } of files) hash.update(`\n${key}\t${sizeBytes}\t${modifiedMs}`);
  return hash.digest("hex").slice(0, 32);
}

/** Into a folder beside, which is renamed when it is complete: what is there under its name is whole. */
async function download(
  blobs: BlobStore,
  folder: string,
  prefix: string,
  files: readonly BlobStat[],
  registered: readonly RegisteredFile[] | null,
): Promise<void> {
  const expected = registered === null ? null : new Map(registered.map((file) => [file.path, file.sha256]));
  const partial = `${folder}.${randomUUID()}.partial`;
  try {
    for (const { key } of files) {
      const relative = key === prefix ? path.posix.basename(key) : key.slice(prefix.length + 1);
      const file = path.resolve(partial, relative);
      if (!file.startsWith(partial + path.sep)) {
        throw invalid(`The model has a file "${relative}", which would leave its folder.`);
      }
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      const content = await blobs.get(key);
      if (content === null) throw notFound(`The file ${key} of the model is not there any more.`);
      const hash = createHash("sha256");
      await pipeline(
        Readable.fromWeb(content.stream),
        hashing(hash),
        createWriteStream(file, { flags: "wx", mode: 0o600 }),
      );
      if (expected === null) continue;
      if (expected.get(relative) !== hash.digest("hex")) throw changed(relative, expected.has(relative));
      expected.delete(relative);
    }
    const [missing] = expected?.keys() ?? [];
    if (missing !== undefined) throw changed(missing, false);
    await rename(partial, folder).catch(async (error: unknown) => {
      // Another process on this disk was first.
      if (!(await exists(folder))) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** Sizes of the folders that an earlier process left, least recently used first; half-written ones are removed. */
async function readCache(directory: string): Promise<Map<string, number>> {
  const folders: { name: string; bytes: number; usedMs: number }[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    const folder = path.join(directory, name);
    const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: 0 }));
    // One that another process writes now is younger than this.
    const abandoned = name.endsWith(".partial") && mtimeMs < Date.now() - 3_600_000;
    if (abandoned) await rm(folder, { recursive: true, force: true });
    else if (/^[0-9a-f]{32}$/.test(name)) {
      folders.push({ name, bytes: await folderBytes(folder), usedMs: mtimeMs });
    }
  }
  folders.sort((a, b) => a.usedMs - b.usedMs);
  return new Map(folders.map(({ name, bytes }) => [name, bytes]));
}

async function clearAway(
  { directory, maxBytes }: ModelFilesOptions,
  sizes: Map<string, number>,
  inUse: ReadonlyMap<string, number>,
): Promise<void> {
  let total = 0;
  for (const bytes of sizes.values()) total += bytes;
  for (const [name, bytes] of sizes) {
    if (total <= maxBytes) return;
    if (inUse.has(name)) continue;
    sizes.delete(name);
    total -= bytes;
    await rm(path.join(directory, name), { recursive: true, force: true });
  }
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(
        async (entry) =>
          (await stat(path.join(entry.parentPath, entry.name)).catch(() => ({ size: 0 }))).size,
      ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function exists(folder: string): Promise<boolean> {
  return (await stat(folder).catch(() => null))?.isDirectory() === true;
}

/** Told apart from other conflicts by this code. */
export const changedFileCode = "REGISTERED_FILE_CHANGED";

function changed(file: string, wasRegistered: boolean) {
  const how = wasRegistered
    ? "has other bytes than were registered"
    : "is not among the files that were registered, or gone";
  return conflict(
    `The file "${file}" ${how}. Put back what was registered, or register the model as a new version.`,
    { code: changedFileCode },
  );
}

function hashing(hash: Hash) {
  return async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
}

import type { Dirent } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import path from "node:path";
import { invalid } from "../../errors.ts";
import { directoryName, segmentOf } from "../keys.ts";
import { codeOf } from "./durable-files.ts";

/** What a page is made of: a blob, or everything below a delimiter folded into one. */
export type Listed =
  | { readonly kind: "blob"; readonly key: string }
  | { readonly kind: "prefix"; readonly key: string };

/**
 * Walks a tree of blobs in ascending order of the key, from the first one after `after`. Only directories that can hold
 * such a key are read.
 *
 * @param after the last key of the page before, or a folded prefix (ending in `/`)
 */
export async function* walk(
  root: string,
  options: { readonly prefix: string; readonly delimiter: boolean; readonly after: string },
): AsyncGenerator<Listed> {
  const { prefix } = options;
  const begin = prefix.slice(0, prefix.lastIndexOf("/") + 1);
  const directory = path.join(root, ...begin.split("/").slice(0, -1).map(directoryName));
  // A link on the way to the prefix is not followed; those below it are passed over as they are met.
  const real = await realpath(directory).catch(() => undefined);
  if (real === directory) yield* walkDirectory(directory, begin, options);
}

async function* walkDirectory(
  directory: string,
  begin: string,
  options: { readonly prefix: string; readonly delimiter: boolean; readonly after: string },
): AsyncGenerator<Listed> {
  const { prefix, delimiter, after } = options;
  for (const { segment, name } of await entriesOf(directory)) {
    const key = begin + segment;
    const isDirectory = segment.endsWith("/");
    // A directory sorts as its name with the slash: "a-b" and "a.b" come before "a/", and "a0" after it.
    if (!(key.startsWith(prefix) || (isDirectory && prefix.startsWith(key)))) continue;
    if (!isDirectory) {
      if (key > after) yield { kind: "blob", key };
    } else if (delimiter) {
      if (key > after && (await holdsBlob(path.join(directory, name)))) yield { kind: "prefix", key };
    } else if (key > after || after.startsWith(key)) {
      yield* walkDirectory(path.join(directory, name), key, options);
    }
  }
}

/** The blobs and directories in a directory, in the order of their keys. Links and strange files are passed over. */
async function entriesOf(directory: string): Promise<{ segment: string; name: string }[]> {
  const entries: { segment: string; name: string }[] = [];
  for (const entry of await readDirectory(directory)) {
    if (!entry.isFile() && !entry.isDirectory()) continue;
    const segment = segmentOf(entry.name, entry.isDirectory());
    if (segment !== null) entries.push({ segment, name: entry.name });
  }
  return entries.sort((a, b) => (a.segment < b.segment ? -1 : 1));
}

/** A directory whose last blob was just deleted may still be there for a moment, or for good after a crash. */
async function holdsBlob(directory: string): Promise<boolean> {
  const entries = await readDirectory(directory);
  if (entries.some((entry) => entry.isFile())) return true;
  for (const entry of entries) {
    if (entry.isDirectory() && (await holdsBlob(path.join(directory, entry.name)))) return true;
  }
  return false;
}

async function readDirectory(directory: string): Promise<Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG") return [];
    throw error;
  }
}

export function cursorAfter(key: string): string {
  return Buffer.from(key).toString("base64url");
}

/** @throws invalid for a cursor that no page handed out */
export function afterCursor(cursor: string | undefined): string {
  if (cursor === undefined) return "";
  const key = Buffer.from(cursor, "base64url").toString();
  if (key === "" || cursorAfter(key) !== cursor) {
    throw invalid(`The cursor "${cursor.slice(0, 100)}" is not one of a page of blobs.`, { field: "cursor" });
  }
  return key;
}

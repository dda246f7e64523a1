import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rm, rmdir, stat } from "node:fs/promises";
import path from "node:path";

/** The code of a system error, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** Makes the names in a directory durable. Windows cannot, and writes them through. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Creates a directory under `root` and runs `commit`, which puts a name into it; then makes every name from there up to
 * the root durable. Another call may prune the directory while it is still empty: then both steps are done again.
 */
export async function commitInto<Result>(
  root: string,
  directory: string,
  commit: () => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    await mkdir(directory, { recursive: true });
    try {
      const result = await commit();
      for (let at = directory; ; at = path.dirname(at)) {
        await syncDirectory(at);
        if (at === root) return result;
      }
    } catch (error) {
      if (codeOf(error) !== "ENOENT" || attempt === 20) throw error;
    }
  }
}

/** Removes a directory and those above it, up to the root, as long as they are empty. */
export async function pruneEmpty(root: string, directory: string): Promise<void> {
  for (let at = directory; at !== root; at = path.dirname(at)) {
    try {
      await rmdir(at); // fails on a directory that is not empty, so a blob that arrives meanwhile is safe
    } catch {
      return;
    }
  }
}

/** A file to write into before it gets its name. */
export async function openTemporary(directory: string): Promise<{ file: string; handle: FileHandle }> {
  const file = path.join(directory, randomUUID());
  return { file, handle: await open(file, "wx", 0o600) };
}

/** Removes files that nobody wrote to since `olderThanMs` (Unix time): uploads that a crash cut off. */
export async function sweepTemporaries(directory: string, olderThanMs: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const file = path.join(directory, name);
    try {
      if ((await stat(file)).mtimeMs < olderThanMs) await rm(file, { force: true });
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
}

import { randomUUID } from "node:crypto";
import { type FileHandle, lstat, mkdir, open, readdir, realpath, rm, rmdir, stat } from "node:fs/promises";
import path from "node:path";
import { invalid } from "../../errors.ts";

/** A link that somebody put into a tree of ours. The message goes to callers, so it names no path of this machine. */
export function outside() {
  return invalid("The key leads through a symbolic link in the store's directory, and is not followed.");
}

/** The code of a system error, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/**
 * Creates a directory for this user only, with those above it, all durable.
 *
 * @returns its real path
 */
export async function openDirectory(directory: string): Promise<string> {
  const made = await mkdir(directory, { recursive: true, mode: 0o700 });
  const real = await realpath(directory);
  if (made !== undefined) {
    const last = await realpath(path.dirname(made));
    for (let at = real; ; at = path.dirname(at)) {
      await syncDirectory(at);
      if (at === last) break;
    }
  }
  return real;
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

/** How many directories are remembered as durable before all are forgotten. */
const rememberedDirectories = 10_000;

/** Names in a tree of directories that come and go with what is in them. */
export interface DurableTree {
  /**
   * Makes a directory and runs `commit`, which puts a name into it; then makes every name from there up to the root
   * durable. Both steps are done again when another call pruned the directory while it was still empty.
   */
  commit(directory: string, commit: () => Promise<void>): Promise<void>;
  /** After a name in this directory was removed: makes that durable, and removes directories that are empty now. */
  prune(directory: string): Promise<void>;
}

export function createDurableTree(root: string): DurableTree {
  // Syncing a chain of directories again for each file costs more than the file; once is enough.
  const durable = new Set<string>([root]);

  /** Goes through no symbolic link: one that somebody put into the tree must not lead out of it. */
  async function make(directory: string): Promise<void> {
    if (durable.has(directory)) return;
    await make(path.dirname(directory));
    try {
      await mkdir(directory, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      if (!(await lstat(directory)).isDirectory()) throw outside();
    }
  }

  /** @returns what went wrong because the directory was pruned meanwhile */
  async function attempt(directory: string, commit: () => Promise<void>): Promise<Error | undefined> {
    try {
      await make(directory);
      await commit();
      return undefined;
    } catch (error) {
      if (!(error instanceof Error) || codeOf(error) !== "ENOENT") throw error;
      // Perhaps by another process, which we did not see.
      for (let at = directory; at !== root; at = path.dirname(at)) durable.delete(at);
      return error;
    }
  }

  return {
    async commit(directory, commit) {
      for (let tries = 1; ; tries++) {
        const pruned = await attempt(directory, commit);
        if (pruned === undefined) break;
        if (tries === 50) throw pruned;
      }
      const chain: string[] = [];
      await syncIfThere(directory);
      for (let at = directory; !durable.has(at); at = path.dirname(at)) {
        chain.push(at);
        await syncIfThere(path.dirname(at));
      }
      if (durable.size + chain.length > rememberedDirectories) {
        durable.clear();
        durable.add(root);
      } else {
        for (const at of chain) durable.add(at);
      }
    },

    async prune(directory) {
      for (let at = directory; ; at = path.dirname(at)) {
        try {
          if (at !== root) {
            durable.delete(at);
            await rmdir(at); // fails on a directory that is not empty, so a blob that arrives meanwhile is safe
            continue;
          }
        } catch (error) {
          if (codeOf(error) === "ENOENT") continue;
        }
        return syncIfThere(at);
      }
    },
  };
}

/** Whoever removed it has made that durable. */
async function syncIfThere(directory: string): Promise<void> {
  try {
    await syncDirectory(directory);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
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

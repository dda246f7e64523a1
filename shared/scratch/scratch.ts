import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

const prefix = "ketline-scratch-";
/** A socket that its process listens on: the system closes it with the process, however that ends. */
const sign = ".alive";
/** Of a directory without a sign nobody can tell whether it is in use; no work lasts so long. */
const unknownMs = 48 * 3600_000;

export interface ScratchDirectory extends AsyncDisposable {
  readonly path: string;
}

/**
 * A directory of one's own below the system's one for temporary files, until it is disposed. What a killed process left
 * goes at the next start (`sweepScratchDirectories`).
 */
export async function openScratchDirectory(): Promise<ScratchDirectory> {
  const directory = await mkdtemp(path.join(tmpdir(), prefix));
  const server = await listen(directory);
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      server?.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/**
 * Gives `work` a directory of its own and removes it afterwards. For whoever starts a worker, not for the worker: a
 * thread that is ended has no time to clean up.
 */
export async function inScratchDirectory<Result>(
  work: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = await openScratchDirectory();
  try {
    return await work(directory.path);
  } finally {
    await directory[Symbol.asyncDispose]();
  }
}

/**
 * Removes the directories of this user whose processes are gone: those whose sign nobody listens on. Numbers of processes
 * are not looked at, as they are given again, and differ from container to container.
 *
 * @returns how many went
 */
export async function sweepScratchDirectories(nowMs: number): Promise<number> {
  const root = tmpdir();
  let count = 0;
  for (const name of await readdir(root)) {
    if (!name.startsWith(prefix)) continue;
    const directory = path.join(root, name);
    if (!(await isLeft(directory, nowMs))) continue;
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    count++;
  }
  return count;
}

async function isLeft(directory: string, nowMs: number): Promise<boolean> {
  try {
    const { uid, mtimeMs } = await stat(directory);
    if (process.getuid !== undefined && uid !== process.getuid()) return false;
    const state = await stateOf(path.join(directory, sign));
    return state === "dead" || (state === "unknown" && nowMs - mtimeMs > unknownMs);
  } catch {
    return false; // it went by itself meanwhile, or is out of our reach
  }
}

/** The sign gets its name when somebody listens already, so that one on which nobody does is that of a dead process. */
async function listen(directory: string): Promise<Server | undefined> {
  const first = path.join(directory, `${sign}.new`);
  const server = createServer((socket) => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(first, resolve);
    });
    server.unref();
    await rename(first, path.join(directory, sign));
    return server;
  } catch {
    // No sockets here, or the path is too long for one: such a directory is left to its age.
    server.close();
    return undefined;
  }
}

function stateOf(socketPath: string): Promise<"alive" | "dead" | "unknown"> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve("alive");
    });
    socket.once("error", ({ code }: NodeJS.ErrnoException) => {
      resolve(code === "ECONNREFUSED" ? "dead" : code === "EAGAIN" ? "alive" : "unknown");
    });
  });
}

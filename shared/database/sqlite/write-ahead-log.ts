import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";

/** Brings what was committed to the disk. */
export interface WriteAheadLog {
  /**
   * Settles when all that was committed before the call survives a power cut. Calls that come while the disk is busy
   * share its next turn.
   *
   * @throws for ever once the disk has failed: what it then holds nobody knows (fsync(2) reports a lost page only once)
   */
  persist(): Promise<void>;
  /** Why nothing may be written any more. */
  readonly failure?: Error | undefined;
  close(): Promise<void>;
}

/** The file of a log. */
export interface LogFile {
  /** Brings what was written to it before the call to the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The log of an SQLite database in WAL mode, synced by us instead of by SQLite's `synchronous=FULL`: the same one fsync
 * between a commit and its acknowledgement, but on a thread of the pool, so that requests are answered meanwhile, and
 * once for all that wait. With `synchronous=NORMAL` SQLite still syncs the log before it copies it into the database,
 * and its frames are checksummed, so that after a power cut the database holds a prefix of the commits
 * (sqlite.org/wal.html).
 *
 * @param lost told, before anybody else, that the disk has failed: what was committed may or may not survive, and only a
 *   new process finds out (as PostgreSQL does, which ends itself). Whoever waits is told nothing else than that it failed
 */
export function createWriteAheadLog(
  file: LogFile,
  lost: (error: Error) => void = () => undefined,
): WriteAheadLog {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let failure: Error | undefined;

  const start = (): Promise<void> => {
    const started = file
      .sync()
      .catch((error: unknown) => {
        if (failure === undefined) {
          failure = new Error("The database's log cannot be synced; the server must start again.", {
            cause: error,
          });
          lost(failure);
        }
        throw failure;
      })
      .finally(() => {
        if (running === started) running = undefined;
      });
    running = started;
    return started;
  };
  const after = async (current: Promise<void>): Promise<void> => {
    await current.catch(() => undefined);
    next = undefined;
    if (failure !== undefined) throw failure;
    return start();
  };
  return {
    get failure() {
      return failure;
    },
    async persist() {
      if (failure !== undefined) throw failure;
      if (running === undefined) return start();
      next ??= after(running);
      return next;
    },
    async close() {
      await (next ?? running)?.catch(() => undefined);
      await file.close();
    },
  };
}

/** @param database path of the database; its log lies beside it once something was written */
export function logFileOf(database: string): LogFile {
  let opening: Promise<FileHandle> | undefined;
  const openLog = async (): Promise<FileHandle> => {
    const handle = await open(`${database}-wal`, "r+");
    // The log's own name must be on the disk too.
    if (process.platform !== "win32") await syncDirectory(path.dirname(database));
    return handle;
  };
  return {
    async sync() {
      opening ??= openLog();
      await (await opening).datasync();
    },
    async close() {
      await (await opening?.catch(() => undefined))?.close();
    },
  };
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** For a database in memory. */
export const noLog: WriteAheadLog = { persist: async () => undefined, close: async () => undefined };

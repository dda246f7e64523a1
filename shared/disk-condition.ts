import { constants } from "node:fs";
import { access, statfs } from "node:fs/promises";
import { insufficient, type KetlineError, unavailable } from "./errors.ts";

/** Less than this, and the next writes meet a full disk. */
const leastFreeBytes = 2 * 1024 ** 2;

/** The code of a system error, such as `ENOENT`. */
export function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/**
 * What an error of the file system means to a caller; the cause names the path, the message does not.
 *
 * @param what for the message, e.g. `The store of files`
 * @returns undefined for what is no fault of the machine, such as a file that is not there
 */
export function diskFault(what: string, error: unknown): KetlineError | undefined {
  const fault = systemCodeOf(error);
  const details = { cause: error, fault: fault ?? "", retryAfterSeconds: 5 };
  switch (fault) {
    case "ENOSPC":
    case "EDQUOT":
      return insufficient(`${what} is full and nothing was kept: its operator has to free space.`, details);
    case "EROFS":
    case "EACCES":
    case "EPERM":
      return unavailable(`${what} is not writable or readable by this server.`, details);
    case "EIO":
    case "ENXIO":
    case "ENODEV":
    case "ESTALE":
      return unavailable(`${what} is on a disk that fails; nothing was kept.`, details);
    case "EMFILE":
    case "ENFILE":
    case "ENOMEM":
      return unavailable(`${what} cannot be used now: this server has as many files open as it may.`, {
        ...details,
        retryAfterSeconds: 1,
      });
    default:
      return undefined;
  }
}

/**
 * Whether a directory can be written to and has room, without writing.
 *
 * @throws unavailable or insufficient when it cannot
 */
export async function checkDisk(what: string, directory: string): Promise<void> {
  try {
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(directory);
    if (bavail * bsize >= leastFreeBytes) return;
  } catch (error) {
    throw (
      diskFault(what, error) ?? unavailable(`${what} cannot be used.`, { cause: error, retryAfterSeconds: 5 })
    );
  }
  throw insufficient(`${what} is full: its operator has to free space.`, {
    fault: "ENOSPC",
    retryAfterSeconds: 5,
  });
}

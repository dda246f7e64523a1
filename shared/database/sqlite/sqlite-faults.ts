import { insufficient, isKetlineError, type KetlineError, unavailable } from "../../errors.ts";

/** SQLite's own name for what went wrong, e.g. `SQLITE_FULL` or `SQLITE_IOERR_WRITE`. */
export function sqliteCodeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code.startsWith("SQLITE_") ? code : "";
}

/** Another process holds the lock: the same statement may succeed in a moment. */
export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(sqliteCodeOf(error));
}

/**
 * What a fault of the machine means to a caller; the message names no path of this machine, the cause does.
 *
 * @returns undefined for an error of the statement itself, such as a key that exists
 */
export function sqliteFault(error: unknown): KetlineError | undefined {
  const fault = sqliteCodeOf(error);
  const details = { cause: error, fault, retryAfterSeconds: 5 };
  if (isBusy(error)) {
    return unavailable("The database is locked by another process: send the request again in a moment.", {
      ...details,
      retryAfterSeconds: 1,
    });
  }
  if (fault === "SQLITE_FULL") {
    return insufficient(
      "The disk of the database is full and nothing was written: its operator has to free space.",
      details,
    );
  }
  if (/^SQLITE_(READONLY|PERM)/.test(fault)) {
    return unavailable(
      "The database can only be read: its file or file system is not writable by this server.",
      details,
    );
  }
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(fault)) {
    return unavailable("The database's file is damaged: its operator has to restore it from a backup.", {
      cause: error,
      fault,
    });
  }
  if (/^SQLITE_(IOERR|CANTOPEN|PROTOCOL|NOLFS)/.test(fault)) {
    return unavailable("The disk of the database failed and nothing was written.", details);
  }
  if (fault === "SQLITE_NOMEM") {
    return unavailable("The server has no memory left for the database.", details);
  }
  return undefined;
}

/** What keeps a database from being opened, in one sentence that names the file and what to do. */
export function startFault(file: string, error: unknown): unknown {
  const cause = isKetlineError(error) ? error.details.cause : error;
  const code =
    sqliteCodeOf(cause) || (cause instanceof Error && "code" in cause ? String(cause.code) : undefined);
  const said = remedyOf(code ?? "");
  if (said === undefined) return error;
  return new Error(`The database ${file} ${said} (${code}).`, { cause: error });
}

function remedyOf(code: string): string | undefined {
  if (/^SQLITE_(BUSY|LOCKED)/.test(code))
    return "is locked by another process: stop that process, or give this server a file of its own with KETLINE_DATABASE";
  if (code === "SQLITE_FULL" || code === "ENOSPC" || code === "EDQUOT")
    return "cannot be written because its disk is full: free space and start again";
  if (/^SQLITE_(READONLY|PERM)/.test(code) || ["EROFS", "EACCES", "EPERM"].includes(code))
    return "cannot be written: make its file, its folder and their file system writable for the user of this server";
  if (code === "SQLITE_NOTADB")
    return "is not an SQLite database, or damaged at its beginning: restore it from a backup, or move it away to begin with an empty one";
  if (code.startsWith("SQLITE_CORRUPT"))
    return "is damaged: restore it from a backup, or move it away to begin with an empty one";
  if (code.startsWith("SQLITE_CANTOPEN") || ["ENOTDIR", "EISDIR", "ENOENT", "EEXIST"].includes(code))
    return "cannot be opened: see that it is a file and its folder is there";
  if (code.startsWith("SQLITE_IOERR") || code === "EIO")
    return "cannot be read or written because its disk fails: look into the system's log, and restore it from a backup to another disk";
  if (["EMFILE", "ENFILE", "ENOMEM", "SQLITE_NOMEM"].includes(code))
    return "cannot be opened because the system has no more files or memory for this process";
  return undefined;
}

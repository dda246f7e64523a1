import { closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs";
import path from "node:path";
import SQLite from "better-sqlite3";
import { type Dialect, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from "kysely";
import { keepPrivate } from "../../private-files.ts";
import { cachingStatements } from "../statement-cache.ts";
import { damagesOf } from "./sqlite-damage.ts";
import { createSqliteDriver, type SqliteDriverOptions } from "./sqlite-driver.ts";
import { startFault } from "./sqlite-faults.ts";
import { createWriteAheadLog, logFileOf, noLog, type WriteAheadLog } from "./write-ahead-log.ts";

export interface SqliteOptions extends SqliteDriverOptions {
  /** Told that the disk did not take the log: the process must end (see `createWriteAheadLog`). */
  readonly lost?: (error: Error) => void;
}

/** How long the start waits for another process, in which nobody else waits for this one. */
const startPatienceMs = 5_000;

/**
 * The embedded database: a write-ahead log that is on the disk before a commit is acknowledged, so that it survives a
 * power cut (docs/adr/0008).
 *
 * @param file a path, or `:memory:`
 * @throws Error in one sentence, with the file and what to do, when it cannot be read and written
 */
export function sqliteDialect(file: string, options: SqliteOptions = {}): Dialect {
  const { database, log } = file === ":memory:" ? inMemory() : openFile(file, options.lost);
  return {
    createDriver: () => ({
      ...createSqliteDriver(cachingStatements(database), log, options),
      init: () => log.persist(),
    }),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TurnTakingAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

interface OpenDatabase {
  readonly database: SQLite.Database;
  readonly log: WriteAheadLog;
}

function inMemory(): OpenDatabase {
  const database = new SQLite(":memory:");
  prepare(database);
  return { database, log: noLog };
}

function openFile(file: string, lost: SqliteOptions["lost"]): OpenDatabase {
  let database: SQLite.Database | undefined;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    // For this user alone, as SQLite then makes its log too; and what keeps it from being written says so by its name.
    closeSync(openSync(file, "a", 0o600));
    for (const one of [file, `${file}-wal`, `${file}-shm`]) keepPrivate(one);
    const wasCutOff = hasLog(file);
    database = new SQLite(file, { timeout: startPatienceMs });
    database.pragma("journal_mode = WAL");
    prepare(database);
    if (wasCutOff) heal(file, database);
    // A file that can only be read opens without a word.
    database.exec("begin immediate; pragma user_version = 0; commit");
    // From now on waiting is the driver's, which does not block.
    database.pragma("busy_timeout = 0");
    return { database, log: createWriteAheadLog(logFileOf(file), lost) };
  } catch (error) {
    database?.close();
    throw startFault(file, error);
  }
}

function prepare(database: SQLite.Database): void {
  database.pragma("synchronous = NORMAL"); // the log is synced by the driver, off the event loop
  database.pragma("foreign_keys = ON");
  database.pragma("case_sensitive_like = ON"); // LIKE as in PostgreSQL and in MLflow's filters
}

/** SQLite removes its log when the last process closes in good order. */
function hasLog(file: string): boolean {
  const log = `${file}-wal`;
  return existsSync(log) && statSync(log).size > 0;
}

/**
 * After a stop that was none in good order. The log is written into the database and begun anew: after a sync that
 * failed, pages of it may be in memory alone, and what came behind them would be lost with them in a power cut. Then the
 * pages are looked through, which takes a second for some 500 MB.
 */
function heal(file: string, database: SQLite.Database): void {
  database.pragma("wal_checkpoint(TRUNCATE)");
  const [first] = damagesOf(database, "quick");
  if (first === undefined) return;
  throw new Error(
    `The database ${file} is damaged (${first}): restore it from a backup, or move it away to begin with an empty one.`,
  );
}

/** The driver itself lets its users take turns. */
class TurnTakingAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

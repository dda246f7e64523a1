import { mkdirSync } from "node:fs";
import path from "node:path";
import SQLite from "better-sqlite3";
import { type Dialect, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from "kysely";
import { createSqliteDriver } from "./sqlite-driver.ts";
import { cachingStatements } from "./statement-cache.ts";
import { createWriteAheadLog, logFileOf, noLog } from "./write-ahead-log.ts";

/**
 * The embedded database: a write-ahead log that is on the disk before a commit is acknowledged, so that it survives a
 * power cut (docs/adr/0008).
 *
 * @param file a path, or `:memory:`
 */
export function sqliteDialect(file: string): Dialect {
  const isInMemory = file === ":memory:";
  if (!isInMemory) mkdirSync(path.dirname(file), { recursive: true });
  const database = new SQLite(file);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL"); // the log is synced by the driver, off the event loop
  database.pragma("busy_timeout = 10000");
  database.pragma("foreign_keys = ON");
  database.pragma("case_sensitive_like = ON"); // LIKE as in PostgreSQL and in MLflow's filters
  const log = isInMemory ? noLog : createWriteAheadLog(logFileOf(file));
  return {
    createDriver: () => createSqliteDriver(cachingStatements(database), log),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TurnTakingAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

/** The driver itself lets its users take turns. */
class TurnTakingAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

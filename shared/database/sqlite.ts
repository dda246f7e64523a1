import { mkdirSync } from "node:fs";
import path from "node:path";
import SQLite from "better-sqlite3";
import type { Dialect } from "kysely";
import {
  CompiledQuery,
  type DatabaseConnection,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
} from "kysely";
import { cachingStatements } from "./statement-cache.ts";

/**
 * The embedded database: write-ahead log, and `synchronous=FULL`, so that a commit that was acknowledged survives a
 * power cut. Transactions begin IMMEDIATE: two processes on one file then wait for each other (busy timeout) where a
 * deferred transaction would fail when it first writes.
 *
 * @param file a path, or `:memory:`
 */
export function sqliteDialect(file: string): Dialect {
  if (file !== ":memory:") mkdirSync(path.dirname(file), { recursive: true });
  const database = new SQLite(file);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.pragma("busy_timeout = 10000");
  database.pragma("foreign_keys = ON");
  database.pragma("case_sensitive_like = ON"); // LIKE as in PostgreSQL and in MLflow's filters
  const config: SqliteDialectConfig = { database: cachingStatements(database) };
  const dialect = new SqliteDialect(config);
  return {
    createDriver: () => new ImmediateSqliteDriver(config),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
  };
}

class ImmediateSqliteDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }
}

import type { SqliteDatabase, SqliteStatement } from "kysely";

/** Longer SQL is that of large inserts, whose text differs with their number of rows. */
const maxTextLength = 8000;
const maxStatements = 300;

/**
 * Keeps prepared statements by their SQL, the most recently used ones. Preparing costs more than many a statement's run;
 * and a prepared statement's memory is outside the JavaScript heap, so that the collector lets thousands pile up: a
 * write load without this cache grew the process by 70 KB for each dozen statements.
 */
export function cachingStatements(
  database: SqliteDatabase & { prepare(sql: string): SqliteStatement & { readonly busy?: boolean } },
): SqliteDatabase {
  const cache = new Map<string, SqliteStatement & { readonly busy?: boolean }>();
  return {
    close: () => {
      cache.clear();
      database.close();
    },
    prepare(sql) {
      if (sql.length > maxTextLength) return database.prepare(sql);
      const known = cache.get(sql);
      // One that is being read row by row cannot run a second time meanwhile.
      if (known?.busy === true) return database.prepare(sql);
      const statement = known ?? database.prepare(sql);
      cache.delete(sql);
      cache.set(sql, statement);
      const [oldest] = cache.keys();
      if (cache.size > maxStatements && oldest !== undefined) cache.delete(oldest);
      return statement;
    },
  };
}

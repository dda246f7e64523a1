/** A prepared statement of better-sqlite3. */
export interface CachedStatement {
  /** Whether it gives rows. */
  readonly reader: boolean;
  /** Whether it leaves the database as it is. */
  readonly readonly: boolean;
  /** Whether its rows are being read one by one. */
  readonly busy?: boolean;
  all(parameters: readonly unknown[]): unknown[];
  run(parameters: readonly unknown[]): {
    readonly changes: number | bigint;
    readonly lastInsertRowid: number | bigint;
  };
  iterate(parameters: readonly unknown[]): IterableIterator<unknown>;
}

export interface StatementCache {
  /** Whether a transaction is open; SQLite ends one by itself when the disk is full or broken. */
  readonly inTransaction: boolean;
  prepare(sql: string): CachedStatement;
  close(): void;
}

/** Longer SQL is that of large inserts, whose text differs with their number of rows. */
const maxTextLength = 8000;
const maxStatements = 300;

/**
 * Keeps prepared statements by their SQL, the most recently used ones. Preparing costs more than many a statement's run;
 * and a prepared statement's memory is outside the JavaScript heap, so that the collector lets thousands pile up: a
 * write load without this cache grew the process by 70 KB for each dozen statements.
 */
export function cachingStatements(database: StatementCache): StatementCache {
  const cache = new Map<string, CachedStatement>();
  const forgetOldest = () => {
    const [oldest] = cache.keys();
    if (oldest !== undefined) cache.delete(oldest);
  };
  return {
    get inTransaction() {
      return database.inTransaction;
    },
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
      if (cache.size > maxStatements) forgetOldest();
      return statement;
    },
  };
}

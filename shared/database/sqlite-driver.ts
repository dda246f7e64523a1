import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from "kysely";
import type { CachedStatement, StatementCache } from "./statement-cache.ts";
import type { WriteAheadLog } from "./write-ahead-log.ts";

/**
 * Kysely's view of one SQLite connection, which its users take in turns. What was written is acknowledged when it is on
 * the disk; the connection goes to the next in line before that, so that those who write at the same moment wait for the
 * disk together.
 */
export function createSqliteDriver(statements: StatementCache, log: WriteAheadLog): Driver {
  const turns = createTurns();

  class Turn implements DatabaseConnection {
    #isMine = true;
    #isInTransaction = false;

    async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      await this.#take();
      const statement = statements.prepare(sql);
      const result = resultOf<Row>(statement, parameters);
      if (!this.#isInTransaction && !statement.readonly) await this.#acknowledge();
      return result;
    }

    async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
      await this.#take();
      for (const row of statements.prepare(sql).iterate(parameters)) yield { rows: [row as Row] };
    }

    /** IMMEDIATE: two processes on one file wait for each other where a deferred transaction would fail at its first write. */
    async begin(): Promise<void> {
      await this.#take();
      statements.prepare("begin immediate").run([]);
      this.#isInTransaction = true;
    }

    async commit(): Promise<void> {
      statements.prepare("commit").run([]);
      this.#isInTransaction = false;
      await this.#acknowledge();
    }

    rollback(): void {
      // A commit that could not be brought to the disk has ended its transaction already.
      if (!this.#isInTransaction) return;
      this.#isInTransaction = false;
      statements.prepare("rollback").run([]);
    }

    release(): void {
      if (!this.#isMine) return;
      this.#isMine = false;
      turns.pass();
    }

    async #acknowledge(): Promise<void> {
      this.release();
      await log.persist();
    }

    async #take(): Promise<void> {
      if (this.#isMine) return;
      await turns.take();
      this.#isMine = true;
    }
  }

  const turnOf = (connection: DatabaseConnection): Turn => {
    if (connection instanceof Turn) return connection;
    throw new TypeError("This connection is not one of this driver's.");
  };
  return {
    init: async () => undefined,
    async acquireConnection() {
      await turns.take();
      return new Turn();
    },
    beginTransaction: (connection) => turnOf(connection).begin(),
    commitTransaction: (connection) => turnOf(connection).commit(),
    rollbackTransaction: async (connection) => turnOf(connection).rollback(),
    releaseConnection: async (connection) => turnOf(connection).release(),
    async destroy() {
      await turns.take();
      statements.close();
      turns.pass(); // whoever still waits is told that the database is closed
      await log.close();
    },
  };
}

function resultOf<Row>(statement: CachedStatement, parameters: readonly unknown[]): QueryResult<Row> {
  if (statement.reader) return { rows: statement.all(parameters) as Row[] };
  const { changes, lastInsertRowid } = statement.run(parameters);
  return { insertId: BigInt(lastInsertRowid), numAffectedRows: BigInt(changes), rows: [] };
}

/** First come, first served. */
function createTurns() {
  const waiting: (() => void)[] = [];
  let isTaken = false;
  return {
    async take(): Promise<void> {
      if (isTaken) await new Promise<void>((resolve) => waiting.push(resolve));
      isTaken = true;
    },
    /** To the next in line, without a moment in which somebody else could step in. */
    pass(): void {
      const next = waiting.shift();
      if (next === undefined) isTaken = false;
      else next();
    },
  };
}

import { setTimeout as pause } from "node:timers/promises";
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from "kysely";
import type { KetlineError } from "../../errors.ts";
import type { CachedStatement, StatementCache } from "../statement-cache.ts";
import { isBusy, sqliteFault } from "./sqlite-faults.ts";
import type { WriteAheadLog } from "./write-ahead-log.ts";

export interface SqliteDriverOptions {
  /** How long a statement waits for a lock of another process; 5 s by default. */
  readonly patienceMs?: number;
  /** Told of each fault of the machine that a write met, and of each write that met none (null). */
  readonly onWrite?: (fault: KetlineError | null) => void;
}

const maxPauseMs = 100;

/**
 * Kysely's view of one SQLite connection, which its users take in turns. What was written is acknowledged when it is on
 * the disk; the connection goes to the next in line before that, so that those who write at the same moment wait for the
 * disk together. Whoever meets a lock of another process lets others go first and tries again.
 */
export function createSqliteDriver(
  statements: StatementCache,
  log: WriteAheadLog,
  options: SqliteDriverOptions = {},
): Driver {
  const { patienceMs = 5_000, onWrite = () => undefined } = options;
  const turns = createTurns();

  class Turn implements DatabaseConnection {
    #isMine = true;
    #isInTransaction = false;

    async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      if (this.#isInTransaction) {
        this.#checkTransaction();
        return faultless(() => resultOf<Row>(statements.prepare(sql), parameters));
      }
      let isWrite = false;
      const result = await this.#whenFree(() => {
        const statement = statements.prepare(sql);
        isWrite = !statement.readonly;
        if (isWrite) refuseAfterFailure();
        return resultOf<Row>(statement, parameters);
      });
      if (isWrite) await this.#acknowledge();
      return result;
    }

    async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
      await this.#take();
      for (const row of statements.prepare(sql).iterate(parameters)) yield { rows: [row as Row] };
    }

    /** IMMEDIATE: two processes on one file wait for each other where a deferred transaction would fail at its first write. */
    async begin(): Promise<void> {
      await this.#whenFree(() => {
        refuseAfterFailure();
        statements.prepare("begin immediate").run([]);
      });
      this.#isInTransaction = true;
    }

    async commit(): Promise<void> {
      this.#checkTransaction();
      faultless(() => statements.prepare("commit").run([]));
      this.#isInTransaction = false;
      await this.#acknowledge();
    }

    rollback(): void {
      // A commit that could not be brought to the disk has ended its transaction already.
      if (!this.#isInTransaction) return;
      this.#isInTransaction = false;
      // So has a full or failing disk, whose error is the one to tell.
      if (statements.inTransaction) statements.prepare("rollback").run([]);
    }

    release(): void {
      if (!this.#isMine) return;
      this.#isMine = false;
      turns.pass();
    }

    async #acknowledge(): Promise<void> {
      this.release();
      await log.persist();
      onWrite(null);
    }

    async #take(): Promise<void> {
      if (this.#isMine) return;
      await turns.take();
      this.#isMine = true;
    }

    /** What would follow a transaction that SQLite has ended would be committed statement by statement. */
    #checkTransaction(): void {
      if (!statements.inTransaction) throw new Error("SQLite has ended this transaction after a fault.");
    }

    /** Runs what is whole in itself: after an error it has left nothing behind. */
    async #whenFree<Result>(run: () => Result): Promise<Result> {
      const untilMs = performance.now() + patienceMs;
      for (let pauseMs = 2; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
        await this.#take();
        try {
          return run();
        } catch (error) {
          if (!isBusy(error) || performance.now() >= untilMs) throw told(error);
        }
        this.release();
        await pause(pauseMs);
      }
    }
  }

  function faultless<Result>(run: () => Result): Result {
    try {
      return run();
    } catch (error) {
      throw told(error);
    }
  }

  function told(error: unknown): unknown {
    const fault = sqliteFault(error);
    if (fault === undefined) return error;
    onWrite(fault);
    return fault;
  }

  function refuseAfterFailure(): void {
    if (log.failure !== undefined) throw log.failure;
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

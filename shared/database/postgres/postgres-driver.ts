import { setTimeout as pause } from "node:timers/promises";
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult, TransactionSettings } from "kysely";
import {
  isLostConnection,
  mayConnectSoon,
  postgresCodeOf,
  postgresFault,
  UncertainChange,
} from "./postgres-faults.ts";

/** How long a request waits for a server that is starting again, before it is told to come later. */
const patienceMs = 2_000;
const maxPauseMs = 400;
const maxAttempts = 3;

/**
 * Kysely's driver of PostgreSQL over a network that fails. What certainly left nothing behind is done again on a new
 * connection: connecting, and statements that only read, outside of a transaction. A whole transaction that was lost before
 * its commit is run again by `Database.transaction`. A change whose answer did not come may have been made, and is said
 * to be that.
 */
export function surviving(inner: Driver): Driver {
  const connect = async (): Promise<DatabaseConnection> => {
    const untilMs = performance.now() + patienceMs;
    for (let pauseMs = 25; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
      try {
        return await inner.acquireConnection();
      } catch (error) {
        if (!mayConnectSoon(error) || performance.now() >= untilMs) throw told(error);
      }
      await pause(pauseMs);
    }
  };

  /** One of the pool's connections, and another one after it was lost. */
  class Connection implements DatabaseConnection {
    #held: DatabaseConnection | undefined;
    isInTransaction = false;

    constructor(held: DatabaseConnection) {
      this.#held = held;
    }

    get held(): DatabaseConnection {
      if (this.#held === undefined) throw new Error("This connection was given back.");
      return this.#held;
    }

    async replace(): Promise<void> {
      await this.release();
      this.#held = await connect();
    }

    async release(): Promise<void> {
      const held = this.#held;
      this.#held = undefined;
      if (held !== undefined) await inner.releaseConnection(held);
    }

    async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.held.executeQuery<Row>(query);
        } catch (error) {
          if (!isLostConnection(error) || this.isInTransaction) throw told(error);
          const isSafe = onlyReads(query) || isUndone(error);
          if (!isSafe) throw new UncertainChange(error);
          if (attempt === maxAttempts) throw told(error);
        }
        await this.replace();
      }
    }

    async *streamQuery<Row>(
      query: CompiledQuery,
      chunkSize: number,
    ): AsyncIterableIterator<QueryResult<Row>> {
      try {
        yield* this.held.streamQuery<Row>(query, chunkSize);
      } catch (error) {
        throw told(error);
      }
    }
  }

  const ours = (connection: DatabaseConnection): Connection => {
    if (connection instanceof Connection) return connection;
    throw new TypeError("This connection is not one of this driver's.");
  };
  return {
    init: () => inner.init(),
    acquireConnection: async () => new Connection(await connect()),
    async beginTransaction(connection, settings: TransactionSettings) {
      const connected = ours(connection);
      for (let attempt = 1; ; attempt++) {
        try {
          await inner.beginTransaction(connected.held, settings);
          connected.isInTransaction = true;
          return;
        } catch (error) {
          if (!isLostConnection(error) || attempt === maxAttempts) throw told(error);
        }
        await connected.replace();
      }
    },
    async commitTransaction(connection) {
      const connected = ours(connection);
      try {
        await inner.commitTransaction(connected.held);
        connected.isInTransaction = false;
      } catch (error) {
        throw isLostConnection(error) && !isUndone(error) ? new UncertainChange(error) : told(error);
      }
    },
    async rollbackTransaction(connection) {
      const connected = ours(connection);
      connected.isInTransaction = false;
      try {
        await inner.rollbackTransaction(connected.held);
      } catch (error) {
        // The server rolls back what its client left behind; the error to tell is the one before.
        if (!isLostConnection(error)) throw told(error);
      }
    },
    releaseConnection: (connection) => ours(connection).release(),
    destroy: () => inner.destroy(),
  };
}

function told(error: unknown): unknown {
  return postgresFault(error) ?? error;
}

/**
 * Whether a lost statement, or commit, has certainly changed nothing: `pg` knew before it wrote that the connection had
 * ended, or the server said why it ends it instead of an answer. It says that (57P01, and 57P05 after idling) only between
 * transactions or having undone one: while it commits it listens to nobody, and the answer is on its way before it does.
 */
function isUndone(error: unknown): boolean {
  return (
    /^57P0[15]$/.test(postgresCodeOf(error)) ||
    (error instanceof Error && error.message.startsWith("Client has encountered a connection error"))
  );
}

/** A `with` may write, so it counts as writing. */
function onlyReads({ sql }: CompiledQuery): boolean {
  return /^\s*select\b/i.test(sql);
}

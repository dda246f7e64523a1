import { Socket } from "node:net";
import { type Dialect, PostgresDialect } from "kysely";
import pg from "pg";
import { surviving } from "./postgres-driver.ts";

const int8 = 20;

export interface PostgresOptions {
  readonly url: string;
  readonly poolSize: number;
  /** Fetches a fresh Entra token for each new connection, in place of a password. */
  readonly password?: () => Promise<string>;
}

/** PostgreSQL over `pg`. bigint columns arrive as numbers: they hold milliseconds and counts, all safe integers. */
export function postgresDialect(options: PostgresOptions): Dialect {
  return survivingDialect(new PostgresDialect({ pool: async () => openPool(options) }));
}

/** Every wait has an end: for a connection, for one of the pool's, for a statement, for a server that has gone silent. */
function openPool(options: PostgresOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize,
    idleTimeoutMillis: 10_000,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 60_000,
    idle_in_transaction_session_timeout: 120_000,
    keepAlive: true,
    stream: openSocket,
    types: {
      getTypeParser: ((oid: number, format?: "text" | "binary") =>
        oid === int8 && format !== "binary"
          ? Number
          : pg.types.getTypeParser(oid, format as "text")) as typeof pg.types.getTypeParser,
    },
    ...(options.password === undefined
      ? {}
      : { password: options.password, ssl: { rejectUnauthorized: true } }),
  });
  // Connections end whenever the server wants: a maintenance, an administrator, the network. The pool drops one that
  // ended while idle, and who uses one hears of it by the statement; without a listener each would end the process.
  const heard = () => undefined;
  pool.on("error", heard);
  pool.on("connect", (client) => client.on("error", heard));
  return pool;
}

/** Longer than any statement may take, and than a connection of the pool may be idle. */
const silentMs = 70_000;

/** A server that went away without a word, as a machine that lost its power, would hold a connection for a quarter of an hour. */
function openSocket(): Socket {
  const socket = new Socket();
  socket.setTimeout(silentMs, () => socket.destroy());
  return socket;
}

function survivingDialect(dialect: Dialect): Dialect {
  return {
    createDriver: () => surviving(dialect.createDriver()),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
  };
}

import { type Dialect, PostgresDialect } from "kysely";
import pg from "pg";

const int8 = 20;

export interface PostgresOptions {
  readonly url: string;
  readonly poolSize: number;
  /** Fetches a fresh Entra token for each new connection, in place of a password. */
  readonly password?: () => Promise<string>;
}

/** PostgreSQL over `pg`. bigint columns arrive as numbers: they hold milliseconds and counts, all safe integers. */
export function postgresDialect(options: PostgresOptions): Dialect {
  return new PostgresDialect({
    pool: async () =>
      new pg.Pool({
        connectionString: options.url,
        max: options.poolSize,
        idleTimeoutMillis: 10_000,
        connectionTimeoutMillis: 15_000,
        statement_timeout: 60_000,
        types: {
          getTypeParser: ((oid: number, format?: "text" | "binary") =>
            oid === int8 && format !== "binary"
              ? Number
              : pg.types.getTypeParser(oid, format as "text")) as typeof pg.types.getTypeParser,
        },
        ...(options.password === undefined
          ? {}
          : { password: options.password, ssl: { rejectUnauthorized: true } }),
      }),
  });
}

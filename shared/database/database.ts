import type { Kysely, Transaction } from "kysely";

export type SqlDialect = "sqlite" | "postgres";

/**
 * The metadata store. Each capability declares the tables it owns as a type and asks for that view of the database.
 * Columns are text, double precision, bigint (milliseconds, counts: safe integers) and integer 0/1; JSON is text.
 */
export interface Database {
  readonly dialect: SqlDialect;
  tables<Tables>(): Kysely<Tables>;
  /**
   * Runs `work` in one write transaction. Use only the handle it is given: the outer one would wait for this
   * transaction for ever. PostgreSQL's serialisation failures and deadlocks run `work` again, up to five times.
   */
  transaction<Tables, Result>(work: (trx: Transaction<Tables>) => Promise<Result>): Promise<Result>;
  /**
   * Whether it can be read and written now.
   *
   * @throws unavailable or insufficient, in words, when it cannot
   */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** One step of the schema. Names sort in the order of application and never change once released. */
export interface Migration {
  /** `<four digits>-<capability>-<what>`, e.g. `0100-tracking-runs`. */
  readonly name: string;
  up(schema: Transaction<unknown>, dialect: SqlDialect): Promise<void>;
}

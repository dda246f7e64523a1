import { type Dialect, Kysely, sql, type Transaction } from "kysely";
import type { Config } from "../config.ts";
import { isKetlineError, unavailable } from "../errors.ts";
import type { Database, Migration, SqlDialect } from "./database.ts";
import { migrate } from "./migrate.ts";
import { isLostConnection, postgresCodeOf, UncertainChange } from "./postgres/postgres-faults.ts";
import { createSqliteCondition } from "./sqlite/sqlite-condition.ts";
import { startFault } from "./sqlite/sqlite-faults.ts";

/** SQLSTATE serialization_failure and deadlock_detected: the statement was right, only the moment was not. */
const retryable = new Set(["40001", "40P01"]);
/** How long transactions are begun anew whose connections are lost. */
const patienceMs = 3_000;

/**
 * Opens the configured database and brings its schema up to date.
 *
 * @param lost told that the embedded database's log did not reach the disk: nothing may be answered any more, and the
 *   process must end
 */
export async function openDatabase(
  config: Config["database"],
  migrations: readonly Migration[],
  lost?: (error: Error) => void,
): Promise<Database> {
  if (config.kind === "sqlite") {
    const { sqliteDialect } = await import("./sqlite/sqlite.ts");
    const condition = createSqliteCondition(config.file);
    const dialect = sqliteDialect(config.file, {
      onWrite: condition.onWrite,
      ...(lost === undefined ? {} : { lost }),
    });
    try {
      return await databaseFrom("sqlite", dialect, migrations, condition.check);
    } catch (error) {
      throw startFault(config.file, error);
    }
  }
  const { postgresDialect } = await import("./postgres/postgres.ts");
  const { entraPassword } = await import("./postgres/entra-password.ts");
  const { url, poolSize, entra } = config;
  const dialect = postgresDialect({ url, poolSize, ...(entra ? { password: entraPassword() } : {}) });
  return databaseFrom("postgres", dialect, migrations);
}

/** A database over any Kysely dialect, migrated; the tests open PGlite with it. */
export async function databaseFrom(
  name: SqlDialect,
  dialect: Dialect,
  migrations: readonly Migration[],
  check: (kysely: Kysely<unknown>) => Promise<void> = checkPostgres,
): Promise<Database> {
  const kysely = new Kysely<unknown>({ dialect });
  try {
    await migrate(kysely, name, migrations);
  } catch (error) {
    await kysely.destroy();
    throw error;
  }
  return {
    dialect: name,
    tables: <Tables>() => kysely as Kysely<Tables>,
    transaction: <Tables, Result>(work: (trx: Transaction<Tables>) => Promise<Result>) =>
      transactWithRetries(kysely as Kysely<Tables>, work),
    check: () => check(kysely),
    close: () => kysely.destroy(),
  };
}

async function transactWithRetries<Tables, Result>(
  kysely: Kysely<Tables>,
  work: (trx: Transaction<Tables>) => Promise<Result>,
): Promise<Result> {
  const untilMs = performance.now() + patienceMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await kysely.transaction().execute(work);
    } catch (error) {
      const cause = isKetlineError(error) ? error.details.cause : error;
      // A connection that was lost before the commit has left nothing behind.
      const mayRunAgain =
        retryable.has(postgresCodeOf(error)) ||
        (performance.now() < untilMs &&
          isKetlineError(error) &&
          !(error instanceof UncertainChange) &&
          isLostConnection(cause));
      if (attempt === 5 || !mayRunAgain) throw error;
    }
  }
}

/** A standby, and a server whose disk is nearly full on Azure, answer reads alone. */
async function checkPostgres(kysely: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{
    state: string;
  }>`select current_setting('transaction_read_only') as state`.execute(kysely);
  if (rows[0]?.state !== "on") return;
  throw unavailable("The database can only be read now.", { fault: "25006", retryAfterSeconds: 5 });
}

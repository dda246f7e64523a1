import { type Dialect, Kysely, type Transaction } from "kysely";
import type { Config } from "../config.ts";
import type { Database, Migration, SqlDialect } from "./database.ts";
import { migrate } from "./migrate.ts";

/** SQLSTATE serialization_failure and deadlock_detected: the statement was right, only the moment was not. */
const retryable = new Set(["40001", "40P01"]);

/** Opens the configured database and brings its schema up to date. */
export async function openDatabase(
  config: Config["database"],
  migrations: readonly Migration[],
): Promise<Database> {
  if (config.kind === "sqlite") {
    const { sqliteDialect } = await import("./sqlite.ts");
    return databaseFrom("sqlite", sqliteDialect(config.file), migrations);
  }
  const { postgresDialect } = await import("./postgres.ts");
  const { entraPassword } = await import("./entra-password.ts");
  const { url, poolSize, entra } = config;
  const dialect = postgresDialect({ url, poolSize, ...(entra ? { password: entraPassword() } : {}) });
  return databaseFrom("postgres", dialect, migrations);
}

/** A database over any Kysely dialect, migrated; the tests open PGlite with it. */
export async function databaseFrom(
  name: SqlDialect,
  dialect: Dialect,
  migrations: readonly Migration[],
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
    close: () => kysely.destroy(),
  };
}

async function transactWithRetries<Tables, Result>(
  kysely: Kysely<Tables>,
  work: (trx: Transaction<Tables>) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await kysely.transaction().execute(work);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      if (attempt === 5 || !retryable.has(code)) throw error;
    }
  }
}

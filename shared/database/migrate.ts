import { type Kysely, sql, type Transaction } from "kysely";
import type { Migration, SqlDialect } from "./database.ts";

/** Any fixed number; it names Ketline's migration lock among PostgreSQL's advisory locks. */
const advisoryLock = 7_071_2001;

interface MigrationTable {
  ketline_migration: { name: string; applied_ms: number };
}

/**
 * Applies, in the order of their names and in one transaction, the migrations that the database has not seen.
 * Several instances may start at once: on SQLite the transaction is IMMEDIATE and waits for the other process, on
 * PostgreSQL an advisory lock does the same. (Kysely's own migrator takes no lock on SQLite.)
 */
export async function migrate(
  kysely: Kysely<unknown>,
  dialect: SqlDialect,
  migrations: readonly Migration[],
): Promise<void> {
  const ordered = migrations.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const twice = ordered.find((migration, index) => ordered[index + 1]?.name === migration.name);
  if (twice !== undefined) throw new Error(`Two migrations are named "${twice.name}".`);
  await kysely.transaction().execute(async (trx) => {
    if (dialect === "postgres") await sql`select pg_advisory_xact_lock(${advisoryLock})`.execute(trx);
    await trx.schema
      .createTable("ketline_migration")
      .ifNotExists()
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("applied_ms", "bigint", (column) => column.notNull())
      .execute();
    const table = trx as unknown as Transaction<MigrationTable>;
    const applied = new Set(
      (await table.selectFrom("ketline_migration").select("name").execute()).map((row) => row.name),
    );
    for (const migration of ordered) {
      if (applied.has(migration.name)) continue;
      await migration.up(trx, dialect);
      await table
        .insertInto("ketline_migration")
        .values({ name: migration.name, applied_ms: Date.now() })
        .execute();
    }
  });
}

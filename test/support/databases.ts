import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { PGliteDialect } from "kysely";
import pg from "pg";
import { type Database, databaseFrom, type Migration, openDatabase } from "../../shared/database/index.ts";
import { takePglite } from "./pglite.ts";
import { postgresUrl } from "./postgres.ts";

/** One kind of database that Ketline runs on. */
export interface DatabaseCase {
  readonly name: string;
  /** A new empty database with these migrations; `close` removes it. */
  open(migrations: readonly Migration[]): Promise<Database>;
}

/**
 * Every database that stores are tested against: SQLite in a temporary file, PGlite in memory and, where
 * KETLINE_TEST_POSTGRES names a server, PostgreSQL with a schema for each test.
 *
 * ```ts
 * describe.each(databaseCases())("a store on $name", ({ open }) => { … });
 * ```
 */
export function databaseCases(): DatabaseCase[] {
  const cases: DatabaseCase[] = [
    { name: "SQLite", open: openSqlite },
    { name: "PGlite", open: openPglite },
  ];
  const url = postgresUrl();
  if (url !== undefined) {
    cases.push({ name: "PostgreSQL", open: (migrations) => openPostgres(url, migrations) });
  }
  return cases;
}

async function openSqlite(migrations: readonly Migration[]): Promise<Database> {
  const directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  const file = path.join(directory, "test.db");
  const database = await openDatabase({ kind: "sqlite", file }, migrations);
  return closingWith(database, () => rm(directory, { recursive: true, force: true }));
}

async function openPglite(migrations: readonly Migration[]): Promise<Database> {
  return databaseFrom("postgres", new PGliteDialect({ pglite: await takePglite() }), migrations);
}

async function openPostgres(url: string, migrations: readonly Migration[]): Promise<Database> {
  const own = await emptyPostgres(url);
  try {
    const config = { kind: "postgres", url: own.url, entra: false, poolSize: 5 } as const;
    return closingWith(await openDatabase(config, migrations), own.remove);
  } catch (error) {
    await own.remove();
    throw error;
  }
}

/** A schema of its own is as good as a database here, and much quicker to make. */
export async function emptyPostgres(server: string): Promise<{ url: string; remove(): Promise<void> }> {
  const schema = `ketline_test_${randomBytes(8).toString("hex")}`;
  await administer(server, `create schema ${schema}`);
  const url = new URL(server);
  url.searchParams.set("options", `-c search_path=${schema}`);
  return { url: url.href, remove: () => administer(server, `drop schema ${schema} cascade`) };
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function closingWith(database: Database, after: () => Promise<void>): Database {
  return {
    ...database,
    close: async () => {
      await database.close();
      await after();
    },
  };
}

import SQLite from "better-sqlite3";
import { Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSqliteDriver } from "../../../../shared/database/sqlite/sqlite-driver.ts";
import { cachingStatements } from "../../../../shared/database/statement-cache.ts";

class Adapter extends SqliteAdapter {
  override get supportsMultipleConnections() {
    return true;
  }
}

/** A log whose disk is as slow as the test wants. */
function slowLog() {
  let settle: { resolve: () => void; reject: (error: Error) => void }[] = [];
  return {
    get waiting() {
      return settle.length;
    },
    persist: () => new Promise<void>((resolve, reject) => settle.push({ resolve, reject })),
    finish() {
      for (const { resolve } of settle) resolve();
      settle = [];
    },
    fail(error: Error) {
      for (const { reject } of settle) reject(error);
      settle = [];
    },
    close: async () => undefined,
  };
}

describe("the driver of SQLite", () => {
  const log = slowLog();
  let raw: SQLite.Database;
  let db: Kysely<{ thing: { name: string } }>;
  beforeEach(() => {
    raw = new SQLite(":memory:");
    raw.exec("create table thing (name text primary key)");
    db = new Kysely({
      dialect: {
        createDriver: () => createSqliteDriver(cachingStatements(raw), log),
        createQueryCompiler: () => new SqliteQueryCompiler(),
        createAdapter: () => new Adapter(),
        createIntrospector: (kysely) => new SqliteIntrospector(kysely),
      },
    });
  });
  afterEach(async () => {
    log.finish();
    await db.destroy();
  });

  const insert = (name: string) =>
    db.transaction().execute((trx) => trx.insertInto("thing").values({ name }).execute());
  const committed = () => raw.prepare("select name from thing order by name").pluck().all();
  /** Everything that can go on without the disk has gone on. */
  const quiet = () => new Promise((resolve) => setImmediate(resolve));

  it("acknowledges a transaction when it is on the disk, not before", async () => {
    let isAcknowledged = false;
    const done = insert("a").then(() => {
      isAcknowledged = true;
    });
    await quiet();
    expect(committed()).toEqual(["a"]);
    expect(isAcknowledged).toBe(false);
    log.finish();
    await done;
    expect(isAcknowledged).toBe(true);
  });

  it("lets others commit while one waits for the disk", async () => {
    const all = Promise.all(["a", "b", "c"].map(insert));
    await quiet();
    expect(committed()).toEqual(["a", "b", "c"]);
    expect(log.waiting).toBe(3);
    log.finish();
    await all;
  });

  it("acknowledges a single statement that writes when it is on the disk", async () => {
    const done = db.insertInto("thing").values({ name: "a" }).returning("name").execute();
    await quiet();
    expect(log.waiting).toBe(1);
    log.finish();
    expect(await done).toEqual([{ name: "a" }]);
  });

  it("asks nothing of the disk for what only reads", async () => {
    expect(await db.selectFrom("thing").selectAll().execute()).toEqual([]);
    expect(log.waiting).toBe(0);
  });

  it("keeps transactions apart, each with its pauses", async () => {
    const seen: string[] = [];
    const pausing = (name: string) =>
      db.transaction().execute(async (trx) => {
        seen.push(`${name} begins`);
        await quiet();
        await trx.insertInto("thing").values({ name }).execute();
        seen.push(`${name} ends`);
      });
    const all = Promise.all([pausing("a"), pausing("b"), insert("c")]);
    while (log.waiting < 3) await quiet();
    log.finish();
    await all;
    expect(seen).toEqual(["a begins", "a ends", "b begins", "b ends"]);
  });

  it("undoes a transaction that fails, and goes on", async () => {
    const failing = db.transaction().execute(async (trx) => {
      await trx.insertInto("thing").values({ name: "lost" }).execute();
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    const done = insert("kept");
    await quiet();
    log.finish();
    await done;
    expect(committed()).toEqual(["kept"]);
  });

  it("fails a commit that the disk did not take", async () => {
    const done = insert("a");
    done.catch(() => undefined);
    await quiet();
    log.fail(new Error("EIO"));
    await expect(done).rejects.toThrow("EIO");
  });

  it("waits for its turn again when a connection goes on after a write", async () => {
    const twice = db.connection().execute(async (connection) => {
      await sql`insert into thing values ('first')`.execute(connection);
      await sql`insert into thing values ('second')`.execute(connection);
    });
    await quiet();
    const other = db.transaction().execute(async (trx) => {
      log.finish();
      await quiet();
      await trx.insertInto("thing").values({ name: "other" }).execute();
      expect(committed()).toEqual(["first", "other"]);
    });
    while (log.waiting < 2) await quiet();
    log.finish();
    await Promise.all([twice, other]);
    expect(committed()).toEqual(["first", "other", "second"]);
  });
});

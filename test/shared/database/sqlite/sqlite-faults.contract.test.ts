import { open, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import SQLite from "better-sqlite3";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Database, openDatabase } from "../../../../shared/database/index.ts";
import { isKetlineError } from "../../../../shared/errors.ts";
import { temporaryDirectory } from "../../../support/temporary-directory.ts";
import { type Tables, thing } from "../things.ts";

describe("SQLite on a machine that fails", () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let file: string;
  let database: Database | undefined;
  beforeEach(async () => {
    directory = await temporaryDirectory();
    file = path.join(directory.path, "ketline.db");
    database = undefined;
  });
  afterEach(async () => {
    await database?.close();
    await directory.remove();
  });

  const openIt = async () => {
    database = await openDatabase({ kind: "sqlite", file }, [thing]);
    return database;
  };
  const insert = (db: Database, name: string) =>
    db.transaction<Tables, void>(async (trx) => {
      await trx.insertInto("thing").values({ name, revision: 1, count: 1, score: 1 }).execute();
    });
  const names = async (db: Database) =>
    (await db.tables<Tables>().selectFrom("thing").select("name").orderBy("name").execute()).map(
      (found) => found.name,
    );
  const thrownBy = async (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => undefined,
      (error: unknown) => error,
    );

  describe("whose file another process has locked", () => {
    let other: SQLite.Database;
    let db: Database;
    beforeEach(async () => {
      db = await openIt();
      await insert(db, "before");
      other = new SQLite(file);
      other.exec("begin immediate");
    });
    afterEach(() => other.close());

    it("lets everything else go on while a write waits, reads too, and writes when the lock is gone", async () => {
      const order: string[] = [];
      const written = insert(db, "waiting").then(() => order.push("written"));
      expect(await names(db)).toEqual(["before"]);
      order.push("read");
      other.exec("commit");
      await written;
      expect(order).toEqual(["read", "written"]);
      expect(await names(db)).toEqual(["before", "waiting"]);
    });

    it("says after its patience when to come again, and is well when the lock is gone", async () => {
      const error = await thrownBy(insert(db, "refused"));
      expect(isKetlineError(error, "unavailable") && error.details).toMatchObject({
        fault: "SQLITE_BUSY",
        retryAfterSeconds: 1,
      });
      other.exec("commit");
      await db.check();
      expect(await names(db)).toEqual(["before"]);
    }, 20_000);
  });

  it("says that the disk is full, keeps what was acknowledged and goes on when there is room", async () => {
    const db = await openIt();
    await insert(db, "before");
    // SQLite refuses a page beyond this as it refuses one beyond the disk.
    await db
      .tables()
      .getExecutor()
      .provideConnection(async () => undefined);
    const { sql } = await import("kysely");
    await sql`pragma max_page_count = 1`.execute(db.tables());
    const big = "x".repeat(100_000);
    const error = await thrownBy(insert(db, big));
    expect(isKetlineError(error, "insufficient") && error.details.fault).toBe("SQLITE_FULL");
    expect(isKetlineError(error) && error.message).not.toContain(directory.path);
    await sql`pragma max_page_count = 100000`.execute(db.tables());
    await db.check();
    await insert(db, big);
    expect(await names(db)).toEqual(["before", big]);
  });

  it("does not commit what follows in a transaction that SQLite has ended", async () => {
    const db = await openIt();
    const error = await thrownBy(
      db.transaction<Tables, void>(async (trx) => {
        await sql`rollback`.execute(trx); // as a full disk does by itself
        await trx.insertInto("thing").values({ name: "stray", revision: 1, count: 1, score: 1 }).execute();
      }),
    );
    expect(String(error)).toContain("has ended this transaction");
    expect(await names(db)).toEqual([]);
  });

  describe("refuses to start, naming the file and what to do,", () => {
    it("over a file that is no database", async () => {
      await writeFile(file, "a text that is long enough to be no SQLite database at all".repeat(200));
      const error = await thrownBy(openIt());
      expect(String(error)).toContain(file);
      expect(String(error)).toContain("restore it from a backup");
    });

    it("over a file whose pages are damaged, after a stop that was none in good order", async () => {
      const db = await openIt();
      for (let index = 0; index < 400; index++) await insert(db, `${index}`.padStart(500, "n"));
      const log = new SQLite(file);
      log.pragma("wal_checkpoint(TRUNCATE)");
      log.close();
      await insert(db, "last");
      const [main, wal] = await Promise.all([readFile(file), readFile(`${file}-wal`)]);
      await db.close();
      database = undefined;
      main.fill(0xff, main.length >> 1, (main.length >> 1) + 8192);
      await writeFile(file, main);
      await writeFile(`${file}-wal`, wal);
      const error = await thrownBy(openIt());
      expect(String(error)).toContain(`The database ${file} is damaged`);
    });

    it("over a folder in place of the file", async () => {
      file = directory.path;
      expect(String(await thrownBy(openIt()))).toContain(`The database ${file} cannot be opened`);
    });

    it("over a file that another process keeps to itself", async () => {
      await (await openIt()).close();
      database = undefined;
      const other = new SQLite(file);
      other.pragma("locking_mode = EXCLUSIVE");
      other.exec("begin immediate; pragma user_version = 1; commit");
      try {
        const error = await thrownBy(openIt());
        expect(String(error)).toContain(`The database ${file} is locked by another process`);
      } finally {
        other.close();
      }
    }, 30_000);
  });

  it("keeps its file to its own user", async () => {
    await openIt();
    const handle = await open(file, "r");
    expect((await handle.stat()).mode & 0o077).toBe(0);
    await handle.close();
  });
});

import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Database, databaseFrom, type Migration } from "../../../shared/database/index.ts";
import { sqliteDialect } from "../../../shared/database/sqlite/sqlite.ts";
import { type DatabaseCase, databaseCases } from "../../support/databases.ts";
import { type Tables, thing } from "./things.ts";

describe.each(databaseCases())("$name", databaseContract);

function databaseContract({ open }: DatabaseCase) {
  let database: Database;
  beforeEach(async () => {
    database = await open([thing]);
  });
  afterEach(() => database.close());

  const insert = (name: string, values: Partial<Tables["thing"]> = {}) =>
    database
      .tables<Tables>()
      .insertInto("thing")
      .values({ name, revision: 1, count: 0, score: 0, ...values })
      .execute();
  const all = () => database.tables<Tables>().selectFrom("thing").selectAll().orderBy("name").execute();
  const namesLike = async (pattern: string) => {
    const rows = await database
      .tables<Tables>()
      .selectFrom("thing")
      .select("name")
      .where("name", "like", pattern)
      .orderBy("name")
      .execute();
    return rows.map((row) => row.name);
  };

  describe("values", () => {
    it("come back as they went in", async () => {
      const row = {
        name: "ünï 🚀 'quoted' \"twice\"",
        revision: 1,
        count: Number.MAX_SAFE_INTEGER,
        score: 0.1 + 0.2,
      };
      await insert(row.name, row);
      expect(await all()).toEqual([row]);
    });

    it.each([0, -1, 1_800_000_000_000, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])(
      "keep the bigint %d, as a number",
      async (count) => {
        await insert("a", { count });
        expect(await all()).toMatchObject([{ count }]);
      },
    );

    it.each([5e-324, 1.7976931348623157e308, -0.1, 1 / 3])(
      "keep every bit of the double %d",
      async (score) => {
        await insert("a", { score });
        expect(await all()).toMatchObject([{ score }]);
      },
    );

    it("are counted as a number", async () => {
      await insert("a");
      await insert("b");
      const row = await database
        .tables<Tables>()
        .selectFrom("thing")
        .select((expression) => expression.fn.countAll().as("count"))
        .executeTakeFirstOrThrow();
      expect(row.count).toBe(2);
    });
  });

  describe("LIKE", () => {
    it("minds the case", async () => {
      for (const name of ["Late", "late", "LATE"]) await insert(name);
      expect(await namesLike("la%")).toEqual(["late"]);
      expect(await namesLike("%ATE")).toEqual(["LATE"]);
    });
  });

  describe("a transaction", () => {
    it("keeps everything and gives back its result", async () => {
      const result = await database.transaction<Tables, string>(async (trx) => {
        await trx.insertInto("thing").values({ name: "a", revision: 1, count: 1, score: 0 }).execute();
        await trx.updateTable("thing").set({ count: 2 }).where("name", "=", "a").execute();
        return "done";
      });
      expect(result).toBe("done");
      expect(await all()).toMatchObject([{ name: "a", count: 2 }]);
    });

    it("keeps nothing when it fails, and passes the error on", async () => {
      const failing = database.transaction<Tables, void>(async (trx) => {
        await trx.insertInto("thing").values({ name: "a", revision: 1, count: 1, score: 0 }).execute();
        throw new Error("changed my mind");
      });
      await expect(failing).rejects.toThrow("changed my mind");
      expect(await all()).toEqual([]);
    });

    it("goes on after a statement that failed in an earlier one", async () => {
      await insert("a");
      await expect(insert("a")).rejects.toThrow();
      await expect(
        database.transaction<Tables, void>(async (trx) => {
          await trx.insertInto("thing").values({ name: "a", revision: 1, count: 1, score: 0 }).execute();
        }),
      ).rejects.toThrow();
      await insert("b");
      expect(await all()).toHaveLength(2);
    });

    it.each(["40001", "40P01"])("runs again from the start when it meets SQLSTATE %s", async (code) => {
      let attempts = 0;
      await database.transaction<Tables, void>(async (trx) => {
        attempts++;
        await trx
          .insertInto("thing")
          .values({ name: `attempt ${attempts}`, revision: 1, count: 0, score: 0 })
          .execute();
        if (attempts < 3) throw Object.assign(new Error("not now"), { code });
      });
      expect(attempts).toBe(3);
      expect(await all()).toMatchObject([{ name: "attempt 3" }]);
    });

    it("gives up after five times, with the error", async () => {
      let attempts = 0;
      const failing = database.transaction<Tables, void>(async () => {
        attempts++;
        throw Object.assign(new Error("never"), { code: "40001" });
      });
      await expect(failing).rejects.toThrow("never");
      expect(attempts).toBe(5);
    });

    it("does not run again for any other error", async () => {
      let attempts = 0;
      const failing = database.transaction<Tables, void>(async () => {
        attempts++;
        throw Object.assign(new Error("no"), { code: "23505" });
      });
      await expect(failing).rejects.toThrow("no");
      expect(attempts).toBe(1);
    });

    it("is not seen by others before its end, nor mixed with theirs", async () => {
      await insert("total", { count: 0 });
      await Promise.all(
        Array.from({ length: 12 }, () =>
          database.transaction<Tables, void>(async (trx) => {
            const query = trx.selectFrom("thing").select("count").where("name", "=", "total");
            const locked = database.dialect === "postgres" ? query.forUpdate() : query;
            const { count } = await locked.executeTakeFirstOrThrow();
            await trx
              .updateTable("thing")
              .set({ count: count + 1 })
              .where("name", "=", "total")
              .execute();
          }),
        ),
      );
      expect(await all()).toMatchObject([{ count: 12 }]);
    });
  });

  it("loses no change of 16 writers that compare and set", async () => {
    const [writers, changes] = [16, 10];
    await insert("champion", { revision: 0, count: 0 });
    const tables = database.tables<Tables>();
    const change = async () => {
      for (;;) {
        const row = await tables
          .selectFrom("thing")
          .selectAll()
          .where("name", "=", "champion")
          .executeTakeFirstOrThrow();
        const { numUpdatedRows } = await tables
          .updateTable("thing")
          .set({ count: row.count + 1, revision: row.revision + 1 })
          .where("name", "=", "champion")
          .where("revision", "=", row.revision)
          .executeTakeFirstOrThrow();
        if (numUpdatedRows === 1n) return;
      }
    };
    await Promise.all(
      Array.from({ length: writers }, async () => {
        for (let index = 0; index < changes; index++) await change();
      }),
    );
    expect(await all()).toMatchObject([{ count: writers * changes, revision: writers * changes }]);
  });

  it("answers with the rows that a statement changed", async () => {
    await insert("a", { count: 1 });
    const rows = await database
      .tables<Tables>()
      .updateTable("thing")
      .set((expression) => ({ count: expression("count", "+", 1) }))
      .returning(["name", "count"])
      .execute();
    expect(rows).toEqual([{ name: "a", count: 2 }]);
  });
}

describe("migrations", () => {
  const table = (name: string): Migration => ({
    name,
    up: async (schema) => {
      await schema.schema
        .createTable(`t_${name.replaceAll("-", "_")}`)
        .addColumn("id", "text")
        .execute();
    },
  });
  const open = (migrations: readonly Migration[]) =>
    databaseFrom("sqlite", sqliteDialect(":memory:"), migrations);
  const applied = async (database: Database) => {
    const { rows } = await sql<{ name: string }>`select name from ketline_migration order by rowid`.execute(
      database.tables(),
    );
    return rows.map((row) => row.name);
  };

  it("run in the order of their names, whatever the order they are given in", async () => {
    const database = await open([table("0200-b-x"), table("0010-a-x"), table("0100-c-x")]);
    expect(await applied(database)).toEqual(["0010-a-x", "0100-c-x", "0200-b-x"]);
    await database.close();
  });

  it("refuse a name that is there twice", async () => {
    await expect(open([table("0010-a-x"), table("0010-a-x")])).rejects.toThrow('"0010-a-x"');
  });

  it("know the dialect", async () => {
    const seen: string[] = [];
    const database = await open([{ name: "0001-a-b", up: async (_, dialect) => void seen.push(dialect) }]);
    expect(seen).toEqual(["sqlite"]);
    await database.close();
  });
});

import { describe, expect, it } from "vitest";
import { cachingStatements } from "../../../shared/database/statement-cache.ts";

function countingDatabase() {
  const prepared: string[] = [];
  let busy = false;
  const database = cachingStatements({
    inTransaction: false,
    close: () => undefined,
    prepare: (sql) => {
      prepared.push(sql);
      return {
        reader: true,
        readonly: true,
        get busy() {
          return busy;
        },
        all: () => [],
        run: () => ({ changes: 0, lastInsertRowid: 0 }),
        iterate: () => [][Symbol.iterator](),
      };
    },
  });
  return { database, prepared, setBusy: (value: boolean) => (busy = value) };
}

describe("the cache of prepared statements", () => {
  it("prepares the same SQL once", () => {
    const { database, prepared } = countingDatabase();
    expect(database.prepare("select 1")).toBe(database.prepare("select 1"));
    expect(prepared).toEqual(["select 1"]);
  });

  it("lets go of what was not used for longest", () => {
    const { database, prepared } = countingDatabase();
    database.prepare("select 0");
    for (let index = 1; index < 300; index++) database.prepare(`select ${index}`);
    database.prepare("select 0");
    database.prepare("select 300");
    prepared.length = 0;
    database.prepare("select 0");
    expect(prepared).toEqual([]);
    database.prepare("select 1");
    expect(prepared).toEqual(["select 1"]);
  });

  it("prepares anew what is being read row by row", () => {
    const { database, prepared, setBusy } = countingDatabase();
    database.prepare("select 1");
    setBusy(true);
    database.prepare("select 1");
    expect(prepared).toEqual(["select 1", "select 1"]);
  });

  it("does not keep the texts of large inserts", () => {
    const { database, prepared } = countingDatabase();
    const sql = `insert ${"x".repeat(8000)}`;
    database.prepare(sql);
    database.prepare(sql);
    expect(prepared).toHaveLength(2);
  });
});

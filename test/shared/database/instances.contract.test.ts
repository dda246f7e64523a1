import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Config } from "../../../shared/config.ts";
import { type Database, type Migration, openDatabase } from "../../../shared/database/index.ts";
import { emptyPostgres } from "../../support/databases.ts";
import { postgresUrl } from "../../support/postgres.ts";
import { slowThing, type Tables, thing } from "./things.ts";

interface Shared {
  readonly config: Config["database"];
  remove(): Promise<void>;
}

async function sharedFile(): Promise<Shared> {
  const directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  return {
    config: { kind: "sqlite", file: path.join(directory, "shared.db") },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

async function sharedSchema(server: string): Promise<Shared> {
  const { url, remove } = await emptyPostgres(server);
  return { config: { kind: "postgres", url, entra: false, poolSize: 3 }, remove };
}

const server = postgresUrl();
const cases = [
  { name: "SQLite", share: sharedFile },
  ...(server === undefined ? [] : [{ name: "PostgreSQL", share: () => sharedSchema(server) }]),
];

describe.each(cases)("instances that share one $name", ({ name, share }) => {
  let shared: Shared;
  const opened: Database[] = [];
  const open = async (migrations: readonly Migration[]) => {
    const database = await openDatabase(shared.config, migrations);
    opened.push(database);
    return database;
  };
  const applied = async (database: Database) => {
    const { rows } = await sql<{ name: string }>`select name from ketline_migration order by name`.execute(
      database.tables(),
    );
    return rows.map((row) => row.name);
  };
  beforeEach(async () => {
    shared = await share();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()));
    await shared.remove();
  });

  it("start as processes at the same moment and migrate once", async () => {
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => run("migrate")));
    expect(outcomes).toEqual([0, 0, 0, 0]);
    expect(await applied(await open([]))).toEqual([thing.name, slowThing.name]);
  });

  it("lose no write of two processes", async () => {
    const database = await open([thing]);
    await database
      .tables<Tables>()
      .insertInto("thing")
      .values({ name: "total", revision: 0, count: 0, score: 0 })
      .execute();
    expect(await Promise.all([run("count"), run("count")])).toEqual([0, 0]);
    expect(await database.tables<Tables>().selectFrom("thing").select("count").execute()).toEqual([
      { count: 200 },
    ]);
  });

  it("take up what is new at the next start and leave the rest alone", async () => {
    const first = await open([thing]);
    await first
      .tables<Tables>()
      .insertInto("thing")
      .values({ name: "kept", revision: 1, count: 1, score: 1 })
      .execute();
    const second = await open([thing, slowThing]);
    expect(await applied(second)).toEqual([thing.name, slowThing.name]);
    expect(await second.tables<Tables>().selectFrom("thing").select("name").execute()).toEqual([
      { name: "kept" },
    ]);
    // An instance of the version before may still start beside it.
    await expect(open([thing])).resolves.toBeDefined();
  });

  it("apply all or none of what is new", async () => {
    const broken: Migration = {
      name: "0003-test-broken",
      async up(schema) {
        await schema.schema.createTable("half").addColumn("name", "text").execute();
        throw new Error("the disk is full");
      },
    };
    await open([thing]);
    await expect(open([thing, slowThing, broken])).rejects.toThrow("the disk is full");
    expect(await applied(await open([thing]))).toEqual([thing.name]);
    await expect(open([thing, slowThing])).resolves.toBeDefined();
  });

  const deadlock = async () => {
    const database = await open([thing]);
    const values = ["a", "b"].map((key) => ({ name: key, revision: 0, count: 0, score: 0 }));
    await database.tables<Tables>().insertInto("thing").values(values).execute();
    const bothHoldOne = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const attempts = [0, 0];
    const cross = (me: 0 | 1) =>
      database.transaction<Tables, void>(async (trx) => {
        const [first, second] = me === 0 ? ["a", "b"] : ["b", "a"];
        const add = (key: string) =>
          trx
            .updateTable("thing")
            .set((expression) => ({ count: expression("count", "+", 1) }))
            .where("name", "=", key)
            .execute();
        attempts[me] = (attempts[me] ?? 0) + 1;
        await add(first ?? "");
        bothHoldOne[me].resolve();
        await bothHoldOne[me === 0 ? 1 : 0].promise;
        await add(second ?? "");
      });
    await Promise.all([cross(0), cross(1)]);
    expect(Math.max(...attempts)).toBeGreaterThan(1); // a second deadlock may follow the first
    const rows = await database.tables<Tables>().selectFrom("thing").select("count").execute();
    expect(rows).toEqual([{ count: 2 }, { count: 2 }]);
  };
  // SQLite has one writer at a time, and so no deadlocks.
  if (name === "PostgreSQL") it("run a transaction again that the database ended as a deadlock", deadlock);

  async function run(what: "migrate" | "count"): Promise<number | null> {
    const child = fork(new URL("./instance.child.ts", import.meta.url), [
      what,
      JSON.stringify(shared.config),
    ]);
    const [code] = await once(child, "exit");
    return code;
  }
});

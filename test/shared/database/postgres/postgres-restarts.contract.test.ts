import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Database, openDatabase } from "../../../../shared/database/index.ts";
import { isKetlineError } from "../../../../shared/errors.ts";
import { type OwnPostgres, ownPostgres } from "../../../support/postgres-server.ts";
import { type Tables, thing } from "../things.ts";

const server: OwnPostgres | undefined = await ownPostgres(["max_connections=20"]);

describe.skipIf(server === undefined)("a PostgreSQL server that stops and starts", () => {
  const own = server as OwnPostgres;
  let database: Database;
  beforeAll(async () => {
    database = await openDatabase({ kind: "postgres", url: own.url, entra: false, poolSize: 4 }, [thing]);
  });
  afterAll(async () => {
    await database?.close();
    own.remove();
  });

  const insert = (name: string) =>
    database.tables<Tables>().insertInto("thing").values({ name, revision: 1, count: 0, score: 0 }).execute();
  const names = async () =>
    new Set(
      (await database.tables<Tables>().selectFrom("thing").select("name").execute()).map(({ name }) => name),
    );
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it("loses under load nothing that was acknowledged; refused writes are told when to come again, or that nobody knows", async () => {
    const acknowledged: string[] = [];
    const refused: { name: string; error: unknown }[] = [];
    let isOver = false;
    const writer = async (who: number) => {
      for (let turns = 0; !isOver; turns++) {
        const name = `load-${who}-${turns}`;
        try {
          if (who % 2 === 0) await insert(name);
          else
            await database.transaction<Tables, void>(async (trx) => {
              await trx.insertInto("thing").values({ name, revision: 1, count: 0, score: 0 }).execute();
              await trx.updateTable("thing").set({ count: 1 }).where("name", "=", name).execute();
            });
          acknowledged.push(name);
        } catch (error) {
          refused.push({ name, error });
        }
      }
    };
    const writers = Promise.all([0, 1, 2, 3].map(writer));
    for (let round = 1; round <= 3; round++) {
      const before = { acknowledged: acknowledged.length, refused: refused.length };
      while (acknowledged.length < before.acknowledged + 50) await turn();
      own.stop();
      while (refused.length < before.refused + 4) await turn();
      await expect(database.check()).rejects.toMatchObject({ kind: "unavailable" });
      own.start();
      await database.check();
    }
    const before = acknowledged.length;
    while (acknowledged.length < before + 50) await turn();
    isOver = true;
    await writers;

    const stored = await names();
    expect(acknowledged.filter((name) => !stored.has(name))).toEqual([]);
    for (const { name, error } of refused) {
      if (!isKetlineError(error, "unavailable")) throw new Error(`${name}: ${String(error)}`);
      const isUncertain = error.message.includes("may or may not have been made");
      if (isUncertain) continue;
      expect(error.details.retryAfterSeconds, name).toBeGreaterThan(0);
      expect(stored.has(name), `${name} was refused and is there`).toBe(false);
    }
  }, 120_000);

  it("has for a moment no connection left, and works on when it has", async () => {
    own.stop();
    own.start();
    const hogs: pg.Client[] = [];
    for (;;) {
      const client = new pg.Client({ connectionString: own.url });
      client.on("error", () => undefined);
      try {
        await client.connect();
        hogs.push(client);
      } catch {
        break;
      }
    }
    await expect(insert("crowded")).rejects.toMatchObject({
      kind: "unavailable",
      details: { fault: "53300", retryAfterSeconds: expect.any(Number) },
    });
    await Promise.all(hogs.map((client) => client.end()));
    await insert("room");
    expect(await names()).toContain("room");
  }, 60_000);
});

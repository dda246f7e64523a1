import { sql } from "kysely";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Database, openDatabase } from "../../../../shared/database/index.ts";
import { isKetlineError } from "../../../../shared/errors.ts";
import { postgresUrl } from "../../../support/postgres.ts";
import { type PostgresProxy, proxyTo } from "../../../support/postgres-proxy.ts";
import { type Tables, thing } from "../things.ts";

const server = postgresUrl();

describe.skipIf(server === undefined)("PostgreSQL that goes away", () => {
  const name = `ketline_faults_${process.pid}`;
  let admin: pg.Client;
  let proxy: PostgresProxy;
  let database: Database;

  beforeAll(async () => {
    admin = new pg.Client({ connectionString: server });
    await admin.connect();
    await admin.query(`create database ${name}`);
  });
  afterAll(async () => {
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });
  beforeEach(async () => {
    const target = new URL(server ?? "");
    target.pathname = `/${name}`;
    proxy = await proxyTo(target.href);
    database = await openDatabase({ kind: "postgres", url: proxy.url, entra: false, poolSize: 3 }, [thing]);
    await database.tables<Tables>().deleteFrom("thing").execute();
  });
  afterEach(async () => {
    await database.close();
    await proxy.close();
  });

  const row = (name: string) => ({ name, revision: 1, count: 1, score: 1 });
  const insert = (key: string) => database.tables<Tables>().insertInto("thing").values(row(key)).execute();
  const names = async () =>
    (await database.tables<Tables>().selectFrom("thing").select("name").orderBy("name").execute()).map(
      (found) => found.name,
    );
  const endConnections = () =>
    admin.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [name]);
  const faultOf = async (work: Promise<unknown>) => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!isKetlineError(error)) throw new Error(`not a fault: ${String(error)}`);
    return error;
  };

  it("reads on after an administrator ended the idle connections", async () => {
    await insert("a");
    await endConnections();
    expect(await names()).toEqual(["a"]);
  });

  it("writes on after an administrator ended the idle connections", async () => {
    await insert("a");
    await endConnections();
    await names();
    await insert("b");
    expect(await names()).toEqual(["a", "b"]);
  });

  it("reads again what was lost while the server worked on it", async () => {
    const slow = sql<{ slept: string }>`select pg_sleep(0.3)::text as slept`.execute(database.tables());
    await until(async () => (await busy()) === 1);
    await endConnections();
    expect((await slow).rows).toHaveLength(1);
  });

  it("runs a transaction again that was lost before its commit, once", async () => {
    let runs = 0;
    await database.transaction<Tables, void>(async (trx) => {
      runs++;
      await trx.insertInto("thing").values(row("a")).execute();
      if (runs === 1) await endConnections();
      await trx.insertInto("thing").values(row("b")).execute();
    });
    expect(runs).toBe(2);
    expect(await names()).toEqual(["a", "b"]);
  });

  it("says that a change may have been made whose answer never came, and does not make it again", async () => {
    const slow = sql`insert into thing select 'a', 1, 1, 1 from (select pg_sleep(1)) s`.execute(
      database.tables(),
    );
    const fault = faultOf(slow);
    await until(async () => (await busy()) === 1);
    await proxy.cut();
    expect((await fault).message).toContain("may or may not have been made");
    expect((await fault).details.retryAfterSeconds).toBeUndefined();
    await until(async () => (await busy()) === 0);
    await proxy.mend();
  });

  it("says with when to come again that it is not reached, and is well at once when it is back", async () => {
    await proxy.cut();
    expect((await faultOf(names())).kind).toBe("unavailable");
    const fault = await faultOf(insert("a"));
    expect(fault.kind).toBe("unavailable");
    expect(fault.details.retryAfterSeconds).toBeGreaterThan(0);
    expect((await faultOf(database.check())).kind).toBe("unavailable");
    expect((await faultOf(database.transaction(async () => undefined))).kind).toBe("unavailable");
    await proxy.mend();
    await database.check();
    await insert("b");
    expect(await names()).toEqual(["b"]);
  });

  it("waits for a server that starts again", async () => {
    await insert("a");
    await proxy.cut();
    const read = names();
    await proxy.mend();
    expect(await read).toEqual(["a"]);
  });

  it("says that it can only be read, to writes and to who asks for its state", async () => {
    await admin.query(`alter database ${name} set default_transaction_read_only = on`);
    try {
      await endConnections();
      expect(await names()).toEqual([]);
      const fault = await faultOf(insert("a"));
      expect([fault.kind, fault.details.fault]).toEqual(["unavailable", "25006"]);
      expect((await faultOf(database.check())).details.fault).toBe("25006");
      expect(await names()).toEqual([]);
    } finally {
      await admin.query(`alter database ${name} reset default_transaction_read_only`);
      await endConnections();
    }
    await database.check();
    await insert("b");
  });

  it("says that the server has no connection left", async () => {
    const role = `${name}_crowded`;
    await admin.query(`create role ${role} login connection limit 0`);
    try {
      const url = new URL(proxy.url);
      url.username = role;
      const opening = openDatabase({ kind: "postgres", url: url.href, entra: false, poolSize: 1 }, []);
      expect((await faultOf(opening)).details.fault).toBe("53300");
    } finally {
      await admin.query(`drop role ${role}`);
    }
  });

  it("says that a name resolves to nothing", async () => {
    const url = "postgres://ketline@nowhere.invalid/ketline";
    const fault = await faultOf(openDatabase({ kind: "postgres", url, entra: false, poolSize: 1 }, []));
    expect(fault.details.fault).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });

  async function busy(): Promise<number> {
    const { rows } = await admin.query(
      "select count(*)::int as count from pg_stat_activity where datname = $1 and state = 'active'",
      [name],
    );
    return rows[0].count;
  }
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}

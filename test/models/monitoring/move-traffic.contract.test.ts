import { afterEach, describe, expect, it } from "vitest";
import { monitoringMigrations } from "../../../models/monitoring/index.ts";
import { servingMigrations } from "../../../models/serving/index.ts";
import { createLedgerStore } from "../../../models/serving/traffic/store.ts";
import { emptyTally, type Tally } from "../../../models/serving/traffic/tally.ts";
import type { Database, Migration } from "../../../shared/database/index.ts";
import { migrate } from "../../../shared/database/migrate.ts";
import { databaseCases } from "../../support/databases.ts";

const moves = "0506-monitoring-traffic-to-ledger";

describe.each(databaseCases())("minutes that monitoring counted by itself on $name", ({ open }) => {
  let database: Database;
  afterEach(() => database.close());

  it("come to the ledger of serving, and count nothing twice that serving had counted too", async () => {
    const all: readonly Migration[] = [...servingMigrations, ...monitoringMigrations];
    database = await open(all.filter(({ name }) => name !== moves));
    const fiveMs = 300_000;
    const ledger = createLedgerStore(database, "old");
    const key = {
      deployment: "d",
      revision: 1,
      variant: "v",
      modelName: "m",
      modelVersion: "1",
      shadow: false,
    };
    const { invalid: _, ...before } = { ...emptyTally(), requests: 30, latency: { 0: 30 } };
    await ledger.write({ ...key, windowMs: fiveMs }, before as Tally & typeof before);
    const minute = {
      deployment: "d",
      revision: 1,
      variant: "v",
      model: "m",
      version: "1",
      shadow: 0,
      instance: "i",
      errors: 2,
      rejected: 3,
      invalid_outputs: 1,
      latency: JSON.stringify({ 0: 4, 20: 1 }),
    };
    await database
      .tables<{ monitoring_traffic: typeof minute & { minute_ms: number; requests: number } }>()
      .insertInto("monitoring_traffic")
      .values([
        { ...minute, minute_ms: fiveMs, requests: 10 },
        { ...minute, minute_ms: fiveMs + 60_000, requests: 10 },
        { ...minute, minute_ms: 60_000, requests: 10 },
      ])
      .execute();
    await migrate(database.tables<unknown>(), database.dialect, all);
    const rows = await ledger.read("d", {});
    expect(rows).toMatchObject([
      { key: { windowMs: 60_000 }, tally: { requests: 10, errors: { internal: 2, invalid: 3 }, invalid: 1 } },
      { key: { windowMs: fiveMs }, tally: { requests: 30, errors: {}, invalid: 2, latency: { 0: 30 } } },
    ]);
    // 0.1 ms * 1.25^20 = 8.67 ms, the nearest eighth of a doubling: 2^(25/8) = 8.72 ms.
    expect(rows[0]?.tally.latency).toEqual({ [-27]: 4, 25: 1 });
  });
});

import { afterEach, describe, expect, it } from "vitest";
import { servingMigrations } from "../../../../models/serving/migrations.ts";
import { createLedger, type Ledger } from "../../../../models/serving/traffic/ledger.ts";
import { createLedgerStore, type LedgerStore } from "../../../../models/serving/traffic/store.ts";
import { answersOf, failuresOf, refusalsOf } from "../../../../models/serving/traffic/tally.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { databaseCases } from "../../../support/databases.ts";
import { column, prediction } from "../../monitoring/predictions.ts";

const startMs = Date.UTC(2026, 5, 1, 12);
const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000];
const timings = { routeMs: 0, loadMs: 0, decodeMs: 0, waitMs: 0, runMs: 0 };

describe.each(databaseCases())("the ledger of traffic on $name", ({ open }) => {
  let database: Database;
  afterEach(() => database.close());

  const begin = async () => {
    database = await open(servingMigrations);
    let nowMs = startMs;
    const ledger = (instance: string, store: Partial<LedgerStore> = {}) =>
      createLedger({ store: { ...createLedgerStore(database, instance), ...store }, clock: () => nowMs });
    const pass = (ms: number) => {
      nowMs += ms;
    };
    return { ledger, pass };
  };
  const add = (ledger: Ledger, changes: Parameters<typeof prediction>[0] = {}) =>
    ledger.add({ prediction: prediction(changes), timings, executions: 1, answered: null });
  const requests = async (ledger: Ledger, range: Parameters<Ledger["trafficOf"]>[1] = {}) =>
    (await ledger.trafficOf("flights", range)).reduce((sum, { tally }) => sum + tally.requests, 0);

  it("tells the version's faults from the caller's, and counts answers that are no numbers", async () => {
    const { ledger } = await begin();
    const one = ledger("one");
    add(one);
    for (const errorKind of ["timeout", "internal", "invalid", "run_failed"] as const) {
      add(one, { status: "error", errorKind, outputs: {} });
    }
    add(one, { outputs: { probability: column([Number.NaN]) } });
    add(one, { outputs: { half: { datatype: "FP16", shape: [1], data: Uint16Array.of(0x7c00) } } });
    add(one, {
      outputs: { wide: { datatype: "FP64", shape: [1, 768], data: new Float64Array(768).fill(1 / 0) } },
    });
    const [traffic] = await one.trafficOf("flights", {});
    expect(failuresOf(traffic!.tally)).toBe(3);
    expect(refusalsOf(traffic!.tally)).toBe(1);
    expect(answersOf(traffic!.tally)).toBe(4);
    expect(traffic!.tally.invalid).toBe(3);
  });

  it("sums instances up, and counts a minute once however often it is written", async () => {
    const { ledger, pass } = await begin();
    const [one, other] = [ledger("one"), ledger("other")];
    for (let round = 0; round < 3; round++) {
      add(one);
      add(other, { modelVersion: "2", revision: 2 });
      add(other, { shadow: true });
      await Promise.all([one.flush(), other.flush(), other.flush()]);
      pass(20_000);
    }
    expect(await requests(one)).toBe(9);
    expect(await one.trafficOf("flights", { revisions: { from: 2, to: 9 } })).toMatchObject([
      { revision: 2, modelVersion: "2", tally: { requests: 3 } },
    ]);
    expect(await one.trafficOf("nothing", {})).toEqual([]);
  });

  it("does not count what asked a model without a deployment: no revision is judged by it", async () => {
    const { ledger } = await begin();
    const one = ledger("one");
    add(one, { deployment: null, revision: null, variant: null });
    expect(await requests(one)).toBe(0);
  });

  it("writes later what could not be written", async () => {
    const { ledger, pass } = await begin();
    let isDown = true;
    const store = createLedgerStore(database, "one");
    const one = ledger("one", {
      write: (key, tally) =>
        isDown ? Promise.reject(new Error("the database is away")) : store.write(key, tally),
    });
    add(one);
    await expect(one.flush()).rejects.toThrow("away");
    pass(5 * minuteMs);
    add(one);
    await expect(one.flush()).rejects.toThrow("away");
    isDown = false;
    await one.flush();
    const rows = await store.read("flights", {});
    expect(rows.map(({ tally }) => tally.requests)).toEqual([1, 1]);
  });

  it("becomes hours after some hours, exactly, whoever sums up at the same time, and ends after 32 days", async () => {
    const { ledger, pass } = await begin();
    const [one, other] = [ledger("one"), ledger("other")];
    for (let minute = 0; minute < 90; minute++) {
      for (const each of [one, other]) {
        add(each, { durationMs: 1 + minute });
        add(each, { status: "error", errorKind: "internal", outputs: {} });
        await each.flush();
      }
      pass(minuteMs);
    }
    const before = await one.trafficOf("flights", {});
    pass(4 * hourMs);
    await Promise.all([one.tidy(), other.tidy(), one.tidy()]);
    const after = await one.trafficOf("flights", {});
    expect(after).toMatchObject([{ tally: { requests: 360, errors: { internal: 180 } } }]);
    expect(after[0]?.tally.latency).toEqual(before[0]?.tally.latency);
    expect(await createLedgerStore(database, "x").read("flights", {})).toHaveLength(2);
    expect(await requests(one, { fromMs: startMs + hourMs + 1 })).toBe(120);
    expect(await requests(one, { toMs: startMs + hourMs })).toBe(240);
    // What an instance writes of an hour that was summed up comes to it.
    await createLedgerStore(database, "late").write(
      { ...after[0]!, windowMs: startMs + 7 * minuteMs } as never,
      { ...after[0]!.tally, requests: 5 },
    );
    await one.tidy();
    expect(await requests(one)).toBe(365);
    pass(33 * dayMs);
    await one.tidy();
    expect(await requests(one)).toBe(0);
  });
});

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { trainingMigrations } from "../../../../models/training/index.ts";
import { createManyStore, type ManyStore } from "../../../../models/training/many/store.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { databaseCases } from "../../../support/databases.ts";

describe.each(databaseCases())("the tasks of a training of many models on $name", ({ open }) => {
  let database: Database;
  let store: ManyStore;
  beforeEach(async () => {
    database = await open(trainingMigrations);
    store = createManyStore(database);
    const keys = Array.from({ length: 20 }, (_, key) => ({
      key,
      values: [`stop-${key}`],
      trainRows: 10 + key,
      holdoutRows: 5,
      task: key < 16 ? key >> 1 : null,
    }));
    await store.plan("a", keys, "too few");
    await store.plan("a", keys, "too few");
  });
  afterEach(() => database.close());

  const claim = (owner: string, nowMs = 1000) => store.claim("a", owner, nowMs, 100);
  const found = (key: number) => ({
    key,
    state: "trained" as const,
    trainRows: 10,
    holdoutRows: 5,
    loss: 10 + key,
    baselineLoss: 40,
    championLoss: null,
    targetSum: 1,
    metrics: { rmse: key },
    disagreement: 0,
    offset: 0,
    length: 1,
    sizeBytes: 1,
    sha256: "",
  });

  it("are each given to one of many workers that ask at once", async () => {
    const workers = Array.from({ length: 12 }, (_, worker) => String(worker));
    const claimed = await Promise.all(workers.map((owner) => claim(owner)));
    const tasks = claimed.flatMap((row) => row?.task ?? []).sort();
    expect(tasks).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(await claim("late")).toBeUndefined();
  });

  it("go to another when their worker is silent, who alone may write their end", async () => {
    const first = await claim("first");
    for (let task = 1; task < 8; task++) await claim("others", 1050);
    const second = await claim("second", 1101);
    expect([first?.task, second?.task, second?.attempts]).toEqual([0, 0, 2]);
    if (first === undefined || second === undefined) throw new Error("Nothing was claimed.");
    expect(await store.extend(first, "first", 5000)).toBe(false);
    expect(await store.finish(first, "first", "old", [found(0), found(1)])).toBe(false);
    expect(await store.finish(second, "second", "new", [found(0), found(1)])).toBe(true);
    expect((await store.tasks("a"))[0]).toMatchObject({ state: "done", result: "new" });
    expect(await store.counts("a")).toEqual({ queued: 14, trained: 2, fallback: 4, failed: 0 });
  });

  it("fail with their keys when they end their worker each time", async () => {
    for (let attempt = 0; attempt < 3; attempt++)
      expect((await claim("worker", 1000 + 200 * attempt))?.task).toBe(0);
    expect((await claim("worker", 2000))?.task).toBe(1);
    expect((await store.tasks("a"))[0]).toMatchObject({
      state: "failed",
      error: expect.stringMatching(/3 times/),
    });
    expect((await store.counts("a")).failed).toBe(2);
  });

  it("have keys that are sorted with those without a figure last", async () => {
    const task = await claim("worker");
    if (task === undefined) throw new Error("Nothing was claimed.");
    await store.finish(task, "worker", "x", [found(0), found(1)]);
    const sorted = async (order: "meanLoss" | "gain", descending: boolean) =>
      (await store.keys("a", { state: undefined, order, descending, offset: 0, limit: 3 })).map(
        ({ key_number }) => key_number,
      );
    expect((await sorted("meanLoss", true)).slice(0, 2)).toEqual([1, 0]);
    expect((await sorted("meanLoss", false)).slice(0, 2)).toEqual([0, 1]);
    expect((await sorted("gain", true)).slice(0, 2)).toEqual([0, 1]);
  });
});

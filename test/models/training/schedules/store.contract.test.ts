import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { trainingMigrations } from "../../../../models/training/index.ts";
import { createScheduleStore, type ScheduleStore } from "../../../../models/training/schedules/store.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { databaseCases } from "../../../support/databases.ts";

describe.each(databaseCases())("the store of schedules on $name", ({ open }) => {
  let database: Database;
  let store: ScheduleStore;
  beforeEach(async () => {
    database = await open(trainingMigrations);
    store = createScheduleStore(database);
  });
  afterEach(() => database.close());

  const row = (revision: number, dueMs: number | null = 1000) => ({
    name: "nightly",
    revision,
    spec: "{}",
    author: "{}",
    created_ms: 1,
    updated_ms: revision,
    next_due_ms: dueMs,
    next_fire_ms: dueMs,
    seen_version: null,
  });
  const firing = (id: string, key: string, firedMs = 5) => ({
    id,
    schedule: "nightly",
    schedule_revision: 1,
    cause: "{}",
    cause_key: key,
    fired_ms: firedMs,
  });
  const eight = Array.from({ length: 8 }, (_, i) => i);

  it("lets one of several writers have the next revision", async () => {
    const first = await Promise.all(eight.map(() => store.write(row(1))));
    expect(first.filter(Boolean)).toHaveLength(1);
    const next = await Promise.all(eight.map(() => store.write(row(2))));
    expect(next.filter(Boolean)).toHaveLength(1);
  });

  it("fires a due time once, whoever sees it at the same moment, and moves on", async () => {
    await store.write(row(1));
    const next = { next_due_ms: 2000, next_fire_ms: 2000 };
    const fired = await Promise.all(
      eight.map((i) =>
        store.fire({ name: "nightly", revision: 1, next_due_ms: 1000 }, next, [firing(`f${i}`, "time:1000")]),
      ),
    );
    expect(fired.filter(Boolean)).toHaveLength(1);
    expect(await store.firings("nightly", undefined, undefined, 10)).toHaveLength(1);
    expect(await store.due(1999, 10)).toEqual([]);
    expect(await store.due(2000, 10)).toMatchObject([{ name: "nightly", next_due_ms: 2000 }]);
    // A change of the schedule meanwhile wins over a look that was taken before it.
    expect(await store.fire({ name: "nightly", revision: 0, next_due_ms: 2000 }, next, [])).toBe(false);
  });

  it("fires one cause once", async () => {
    await store.write(row(1));
    const added = await Promise.all(eight.map((i) => store.add(firing(`f${i}`, "dataset:abc"))));
    expect(new Set(added.map(({ id }) => id)).size).toBe(1);
  });

  it("gives its one place to one firing, until that ends", async () => {
    await store.write(row(1));
    await Promise.all(eight.map((i) => store.add(firing(`f${i}`, `time:${i}`))));
    const claims = await Promise.all(eight.map((i) => store.claim("nightly", `f${i}`, null)));
    expect(claims.filter(Boolean)).toHaveLength(1);
    const mine = { id: `f${claims.indexOf(true)}`, schedule: "nightly" };
    expect(await store.update(mine, { state: "running" })).toBe(true);
    expect(await store.claim("nightly", "other", null)).toBe(false);
    expect(await store.update(mine, { state: "succeeded", ended_ms: 9 })).toBe(true);
    expect(await store.update(mine, { state: "failed", ended_ms: 10 })).toBe(false);
    expect(await store.claim("nightly", "other", null)).toBe(true);
    expect((await store.firing(mine.id))?.state).toBe("succeeded");
  });

  it("gives open firings oldest first and the history newest first, in pages", async () => {
    await store.write(row(1));
    for (const i of eight) await store.add(firing(`f${i}`, `time:${i}`, i >> 1));
    await store.update({ id: "f2", schedule: "nightly" }, { state: "failed", ended_ms: 3 });
    const oldest = await store.open(undefined, 3);
    expect(oldest.map(({ id }) => id)).toEqual(["f0", "f1", "f3"]);
    const rest = await store.open({ firedMs: oldest[2]!.fired_ms, id: "f3" }, 10);
    expect(rest.map(({ id }) => id)).toEqual(["f4", "f5", "f6", "f7"]);
    const newest = await store.firings("nightly", undefined, undefined, 3);
    expect(newest.map(({ id }) => id)).toEqual(["f7", "f6", "f5"]);
    const before = await store.firings("nightly", undefined, { firedMs: 2, id: "f5" }, 3);
    expect(before.map(({ id }) => id)).toEqual(["f4", "f3", "f2"]);
    expect(await store.firings("nightly", "failed", undefined, 3)).toHaveLength(1);
  });
});

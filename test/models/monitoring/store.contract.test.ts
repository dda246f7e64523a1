import { afterEach, describe, expect, it } from "vitest";
import { createRollbackStore } from "../../../models/monitoring/bake/rollback-store.ts";
import { monitoringMigrations } from "../../../models/monitoring/index.ts";
import { createLabelStore } from "../../../models/monitoring/labels/store.ts";
import { createMonitorStore, type MonitorRow } from "../../../models/monitoring/monitors/store.ts";
import {
  alertOf,
  createAlertStore,
  type SignalStep,
} from "../../../models/monitoring/results/alert-store.ts";
import { createResultStore } from "../../../models/monitoring/results/result-store.ts";
import type { MonitorResult, Observation } from "../../../models/monitoring/schemas.ts";
import type { Database } from "../../../shared/database/index.ts";
import { databaseCases } from "../../support/databases.ts";

const hourMs = 3_600_000;

describe.each(databaseCases())("the stores of monitoring on $name", ({ open }) => {
  const opened: Database[] = [];
  const database = async () => {
    const fresh = await open(monitoringMigrations);
    opened.push(fresh);
    return fresh;
  };
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close();
  });

  const row = (revision: number, spec = "{}"): MonitorRow => ({
    name: "drift",
    revision,
    spec,
    created_ms: 1,
    updated_ms: revision,
    updated_by: '{"id":"a","name":"A"}',
  });
  const revision = (number: number, change: "create" | "change" | "delete" = "change") => ({
    monitor: "drift",
    revision: number,
    change,
    spec: "{}",
    author: '{"id":"a","name":"A"}',
    reason: "because",
    created_ms: number,
  });

  it("let one of two writers have the next revision", async () => {
    const store = createMonitorStore(await database());
    expect(await store.write(row(1), revision(1, "create"))).toBe(true);
    const writers = Array.from({ length: 8 }, (_, i) => store.write(row(2, `{"by":${i}}`), revision(2)));
    const written = await Promise.all(writers);
    expect(written.filter(Boolean)).toHaveLength(1);
    expect((await store.get("drift"))?.spec).toBe(`{"by":${written.indexOf(true)}}`);
    expect(await store.remove(revision(2, "delete"))).toBe(false);
    expect(await store.remove(revision(3, "delete"))).toBe(true);
    expect(await store.get("drift")).toBeUndefined();
    expect(await store.lastRevision("drift")).toBe(3);
  });

  const bad: Observation = { signal: "data_drift", value: 0.5, threshold: 0.2, outcome: "bad" };
  const result = (windowEndMs: number, series = "capture", rows = 1) =>
    ({
      monitor: "drift",
      series,
      windowEndMs,
      evaluatedMs: 1,
      drift: { verdict: "drift", rows },
    }) as unknown as Omit<MonitorResult, "resultVersion">;
  const step = (
    windowEndMs: number,
    observations: readonly Observation[] = [bad],
  ): Omit<SignalStep, "source"> => ({
    monitor: "drift",
    series: "capture",
    windowEndMs,
    nowMs: windowEndMs,
    rule: { badWindows: 2, ofWindows: 3, clearWindows: 3, coolDownHours: 0 },
    observations,
    alertOf: () => ({ message: "It drifted.", action: { kind: "notify", state: "pending", detail: "" } }),
  });

  it("keep one result per window, and count another one for it as its next version", async () => {
    const base = await database();
    const store = createResultStore(base, "/ketline");
    const stored = async () =>
      (await store.results("drift", undefined, undefined, 10)).map((row) => JSON.parse(row.result));
    await store.record(result(hourMs), step(hourMs));
    expect(await stored()).toMatchObject([{ resultVersion: 1, evaluatedMs: 1 }]);
    await store.record({ ...result(hourMs), evaluatedMs: 99 }, step(hourMs));
    expect(await stored()).toMatchObject([{ resultVersion: 1, evaluatedMs: 1 }]);
    await store.record(result(hourMs, "capture", 2), step(hourMs));
    expect(await stored()).toMatchObject([{ resultVersion: 2, drift: { rows: 2 } }]);
    const versions = await store.versions("drift", "capture", hourMs);
    expect(versions).toMatchObject([
      { resultVersion: 2, drift: { rows: 2 } },
      { resultVersion: 1, drift: { rows: 1 } },
    ]);
    expect(await store.lastWindowEnd("drift", "capture")).toBe(hourMs);
    expect(await createAlertStore(base, "/ketline").signals("drift")).toMatchObject([
      { state: "pending", recent: ["bad"] },
    ]);
  });

  it("give results in pages, newest first, over several series", async () => {
    const store = createResultStore(await database(), "/ketline");
    for (let hour = 1; hour <= 5; hour++) {
      await store.record(result(hour * hourMs), step(hour * hourMs, []));
      await store.record(result(hour * hourMs, "dataset:d"), step(hour * hourMs, []));
    }
    const seen: string[] = [];
    let after: { windowEndMs: number; series: string } | undefined;
    for (;;) {
      const found = await store.results("drift", undefined, after, 3);
      seen.push(...found.map((each) => `${each.window_end_ms / hourMs}${each.series[0]}`));
      const last = found.at(-1);
      if (last === undefined) break;
      after = { windowEndMs: last.window_end_ms, series: last.series };
    }
    expect(seen).toEqual(["5c", "5d", "4c", "4d", "3c", "3d", "2c", "2d", "1c", "1d"]);
  });

  it("raise one alert however often the window that fires is recorded, and at the same time", async () => {
    const base = await database();
    const [results, store] = [createResultStore(base, "/ketline"), createAlertStore(base, "/ketline")];
    expect(await results.record(result(hourMs), step(hourMs))).toEqual([]);
    const again = () => results.record(result(2 * hourMs), step(2 * hourMs));
    const raised = await Promise.all(Array.from({ length: 4 }, again));
    expect(raised.flat()).toEqual([{ signal: "data_drift", value: 0.5, threshold: 0.2 }]);
    const alerts = await store.alerts({}, undefined, 10);
    expect(alerts).toHaveLength(1);
    expect(await store.pendingActions("drift")).toHaveLength(1);
    const { id } = alerts[0]!;
    await store.actionDone(id, { kind: "notify", state: "done", detail: "said so" });
    expect(await store.pendingActions("drift")).toHaveLength(0);
    await store.acknowledge(id, { name: "A", reason: null }, 5);
    await store.acknowledge(id, { name: "B", reason: null }, 6);
    await store.mute(alertOf(alerts[0]!), 77, { name: "A", reason: "known" }, 7);
    expect(await store.alert(id)).toMatchObject({
      acknowledged_by: "A",
      acknowledged_ms: 5,
      muted_until_ms: 77,
      action_detail: "said so",
    });
    await store.forget("drift", 9);
    expect(await store.events(id)).toMatchObject([
      { kind: "fired", at_ms: 2 * hourMs, actor: null },
      { kind: "acknowledged", at_ms: 5, actor: "A", reason: null },
      { kind: "muted", at_ms: 7, actor: "A", reason: "known" },
      { kind: "resolved", at_ms: 9 },
    ]);
    expect(await store.alert(id)).toMatchObject({ state: "resolved", resolved_ms: 9, muted_until_ms: null });
  });

  it("find alerts by monitor and state, in pages", async () => {
    const store = createAlertStore(await database(), "/ketline");
    for (let hour = 1; hour <= 2; hour++) await store.step(step(hour * hourMs));
    for (let hour = 1; hour <= 2; hour++) await store.step({ ...step(hour * hourMs), monitor: "other" });
    expect(await store.alerts({ monitor: "other" }, undefined, 10)).toHaveLength(1);
    expect(await store.alerts({ state: "resolved" }, undefined, 10)).toHaveLength(0);
    const [first] = await store.alerts({}, undefined, 1);
    const [second] = await store.alerts({}, { firedMs: first!.fired_ms, id: first!.id }, 1);
    expect(new Set([first!.monitor, second!.monitor])).toEqual(new Set(["drift", "other"]));
  });

  it("end the alerts of a series' kind, but for one of them", async () => {
    const store = createAlertStore(await database(), "/ketline");
    for (const series of ["bake:1", "bake:2", "capture"]) {
      for (let hour = 1; hour <= 2; hour++) await store.step({ ...step(hour * hourMs), series });
    }
    await store.resolveSeries("drift", "bake:", 9, "bake:2");
    const open = async () =>
      (await store.alerts({ state: "firing" }, undefined, 10)).map(({ series }) => series).sort();
    expect(await open()).toEqual(["bake:2", "capture"]);
    await store.resolveSeries("drift", "bake:", 9);
    expect(await open()).toEqual(["capture"]);
  });

  it("let one claim have the rollback of a version", async () => {
    const store = createRollbackStore(await database());
    const claim = (revisionNumber: number) => {
      const of = {
        deployment: "flights",
        model: "late",
        version: "2",
        revision: revisionNumber,
        monitor: "drift",
        at_ms: revisionNumber,
      };
      const decision = {
        ...of,
        id: `d${revisionNumber}`,
        inputs: "{}",
        outcome: "refused",
        detail: "",
        new_revision: null,
      } as const;
      return store.claim(of, decision);
    };
    const claims = await Promise.all([claim(1), claim(2), claim(3)]);
    expect(new Set(claims.map((each) => each.revision)).size).toBe(1);
    expect(await store.decisions({}, undefined, 10)).toMatchObject([{ outcome: "pending" }]);
    await store.end(claims[0]!, { outcome: "rolled_back", detail: "done", new_revision: 9 });
    expect(await store.decisions({ deployment: "flights" }, undefined, 10)).toMatchObject([
      { outcome: "rolled_back", detail: "done", new_revision: 9 },
    ]);
    expect(await claim(4)).toMatchObject({ outcome: "done" });
    expect(await store.since("flights", 0)).toHaveLength(1);
    expect(await store.since("flights", 5)).toHaveLength(0);
  });

  it("keep the newest label of a row", async () => {
    const store = createLabelStore(await database());
    const label = (value: number | string | boolean, observedAt: number | string = 1000) => [
      { requestId: "r", rowIndex: 0, value, observedAt },
    ];
    expect(await store.upsert(label(1), 1)).toBe(1);
    expect(await store.upsert(label(1), 2)).toBe(0);
    expect(await store.upsert(label("one", "1970-01-01T00:00:02Z"), 3)).toBe(1);
    expect(await store.ofRequests(["r", "s"])).toEqual(
      new Map([["r", new Map([[0, { value: "one", observedMs: 2000 }]])]]),
    );
    expect(await store.any()).toBe(true);
  });

  it("remove labels of old predictions, some at a time", async () => {
    const store = createLabelStore(await database());
    const label = (rowIndex: number, observedAt: number) => ({
      requestId: "r",
      rowIndex,
      value: 1,
      observedAt,
    });
    await store.upsert([label(0, 1000), label(1, 1000), label(2, 2000), label(3, 5000)], 5000);
    await store.upsert([label(4, 9000)], 1000);
    expect(await store.deleteBefore(1000, 10)).toBe(0);
    expect(await store.deleteBefore(3000, 3)).toBe(3);
    expect(await store.deleteBefore(3000, 3)).toBe(1);
    expect([...((await store.ofRequests(["r"])).get("r")?.keys() ?? [])]).toEqual([3]);
  });
});

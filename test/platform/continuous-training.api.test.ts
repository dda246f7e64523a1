import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Firing, Schedule } from "../../models/training/schedules/schemas.ts";
import { createPlatform, type Platform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";
import { call, type SettableClock, settableClock } from "../support/application.ts";
import { randomSource } from "../support/random.ts";

const startMs = Date.UTC(2026, 0, 5, 9);
const dayMs = 86_400_000;
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Ground {
  readonly platform: Platform;
  readonly clock: SettableClock;
  /** A second server over the same data. */
  beside(): Promise<Platform>;
  /** What timers do, with all jobs that follow, until nothing more happens. */
  turn(times?: number): Promise<void>;
  upload(rows: number, options?: { readonly seed?: number }): Promise<string>;
  put(name: string, spec?: object): Promise<Schedule>;
  firings(name: string): Promise<Firing[]>;
  ask<Body>(method: string, path: string, body?: unknown, status?: number): Promise<Body>;
}

async function ground(): Promise<Ground> {
  const directory = mkdtempSync(path.join(tmpdir(), "ketline-schedules-"));
  open.push(async () => rmSync(directory, { recursive: true, force: true }));
  const clock = settableClock(startMs);
  const start = async () => {
    const config = loadConfig({ KETLINE_DATA: directory, KETLINE_LOG_LEVEL: "silent" });
    const platform = await createPlatform(config, clock);
    open.push(() => platform.close());
    return platform;
  };
  const platform = await start();
  const ask: Ground["ask"] = async (method, at, body, status) => {
    const answer = await call(platform.app, method, at, body);
    if (status === undefined ? answer.status >= 300 : answer.status !== status) {
      throw new Error(`${method} ${at}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
    return answer.body as never;
  };
  return {
    platform,
    clock,
    beside: start,
    ask,
    async turn(times = 3) {
      for (let i = 0; i < times; i++) {
        await runTimer(platform, "training-schedules");
        await platform.runner.drain();
      }
      await runTimer(platform, "training-schedules");
    },
    async upload(rows, { seed = 1 } = {}) {
      const random = randomSource(seed);
      const lines = Array.from({ length: rows }, (_, i) => {
        const x = random.normal();
        const chance = 1 / (1 + Math.exp(-2 * x));
        const late = random.uniform() < chance ? 1 : 0;
        return `${i},${x.toFixed(6)},${"abc"[i % 3]},${late}`;
      });
      const csv = `id,x,group,late\n${lines.join("\n")}\n`;
      const answer = await call(platform.app, "POST", "/api/v1/datasets/stops/versions?format=csv", csv);
      if (answer.status !== 202) throw new Error(JSON.stringify(answer.body));
      await platform.runner.drain();
      return (answer.body as { version: { version: string } }).version.version;
    },
    put: (name, spec = {}) =>
      ask("PUT", `/api/v1/schedules/${name}`, { cron: "0 0 2 * * *", training, ...spec }),
    firings: async (name) =>
      (await ask<{ items: Firing[] }>("GET", `/api/v1/schedules/${name}/firings`)).items,
  };
}

const training = {
  dataset: "stops",
  task: "binary",
  target: { column: "late", equals: 1 },
  features: [{ column: "x" }, { column: "group" }],
  split: { holdoutFraction: 0.3 },
  registeredModel: "stops",
};

async function runTimer(platform: Platform, name: string): Promise<void> {
  const timer = platform.timers.find((each) => each.name === name);
  if (timer === undefined) throw new Error(`There is no timer ${name}.`);
  await timer.run();
}

describe("a schedule", () => {
  it("trains every night on what is new, promotes through the gate, and refuses a version that broke a constraint", async () => {
    const { upload, put, turn, clock, firings, ask } = await ground();
    const first = await upload(600);
    expect(await put("nightly")).toMatchObject({ revision: 1, nextDueMs: Date.UTC(2026, 0, 6, 2) });
    await turn();
    expect(await firings("nightly")).toEqual([]);
    clock.set(Date.UTC(2026, 0, 6, 2, 0, 5));
    await turn();
    expect(await firings("nightly")).toMatchObject([
      {
        state: "succeeded",
        cause: { kind: "time", dueMs: Date.UTC(2026, 0, 6, 2) },
        dataVersion: first,
        model: { name: "stops", version: 1 },
        promoted: true,
      },
    ]);
    // Nothing new the night after.
    clock.advance(dayMs);
    await turn();
    const [unchanged] = await firings("nightly");
    expect(unchanged).toMatchObject({
      state: "skipped",
      reason: expect.stringContaining("did not train on"),
    });
    // No better beyond chance: fewer rows of the same.
    await upload(300, { seed: 5 });
    clock.advance(dayMs);
    await turn();
    const [kept] = await firings("nightly");
    expect(kept).toMatchObject({ state: "succeeded", promoted: false, model: { version: 2 } });
    expect(kept?.verdict).toBeTruthy();
    // Broken: the line stops, with the constraint and what the data has.
    const { revision } = await ask<{ revision: number }>("GET", "/api/v1/datasets/stops");
    expect(revision).toBeGreaterThan(0);
    await ask("PUT", "/api/v1/datasets/stops", { expectations: [{ kind: "rows", min: 500 }] });
    await upload(40, { seed: 3 });
    clock.advance(dayMs);
    await turn();
    const [refused] = await firings("nightly");
    expect(refused).toMatchObject({
      state: "refused",
      trainingId: null,
      reason: expect.stringMatching(/is rejected, so nothing was trained.*"min":500.*40/),
    });
    const alias = await ask<{ model_version: { version: string } }>(
      "GET",
      "/api/2.0/mlflow/registered-models/alias?name=stops&alias=champion",
    );
    expect(alias.model_version.version).toBe("1");
  }, 120_000);

  it("fires once for each due time, however many servers there are", async () => {
    const { upload, put, clock, firings, platform, beside } = await ground();
    await upload(300);
    await put("hourly", { cron: "0 0 * * * *", catchUp: "all", whenUnchanged: "train", overlap: "queue" });
    const other = await beside();
    for (let hour = 0; hour < 4; hour++) {
      clock.advance(3_600_000);
      for (const each of [platform, other, platform]) await runTimer(each, "training-schedules");
    }
    const due = (await firings("hourly")).map(({ cause }) => (cause.kind === "time" ? cause.dueMs : 0));
    expect(due.toSorted()).toEqual([10, 11, 12, 13].map((hour) => Date.UTC(2026, 0, 5, hour)));
    // Each waits for the one before, and all are trained in the end.
    for (let round = 0; round < 10; round++) {
      for (const each of [platform, other]) {
        await runTimer(each, "training-schedules");
        await each.runner.drain();
      }
    }
    expect((await firings("hourly")).map(({ state }) => state)).toEqual(Array(4).fill("succeeded"));
    const versions = (await firings("hourly")).map(({ model }) => model?.version).toSorted();
    expect(versions).toEqual([1, 2, 3, 4]);
  }, 120_000);

  it.each([
    ["none", ["skipped"]],
    ["latest", ["waiting"]],
    ["all", ["waiting", "waiting", "waiting", "waiting"]],
  ] as const)("makes up for %s of the times when no server ran", async (catchUp, states) => {
    const { put, clock, firings, platform } = await ground();
    await put("hourly", { cron: "0 30 * * * *", catchUp, overlap: "queue" });
    clock.advance(4 * 3_600_000 - 60_000);
    // The data set is not there yet: firings wait for nothing but their turn.
    await runTimer(platform, "training-schedules");
    const found = await firings("hourly");
    expect(found).toHaveLength(states.length);
    const due = found.map(({ cause }) => (cause.kind === "time" ? cause.dueMs : 0));
    expect(Math.max(...due)).toBe(Date.UTC(2026, 0, 5, 12, 30));
    if (catchUp === "none") expect(found[0]).toMatchObject({ state: "skipped", trainingId: null });
  });

  it.each([
    ["skip", ["skipped", "succeeded"]],
    ["queue", ["succeeded", "succeeded"]],
    ["replace", ["succeeded", "replaced"]],
  ] as const)(
    "that is due while it still trains will %s",
    async (overlap, states) => {
      const { upload, put, firings, turn, ask, platform } = await ground();
      await upload(300);
      await put("often", { cron: null, triggers: [{ on: "dataset" }], overlap });
      await ask("POST", "/api/v1/schedules/often/run", { reason: "one" }, 202);
      await runTimer(platform, "training-schedules");
      await ask("POST", "/api/v1/schedules/often/run", { reason: "two" }, 202);
      await runTimer(platform, "training-schedules");
      await turn();
      const found = await firings("often");
      const byReason = (reason: string) =>
        found.find(({ cause }) => cause.kind === "person" && cause.reason === reason)?.state;
      expect([byReason("two"), byReason("one")]).toEqual(states);
    },
    60_000,
  );

  it("starts for a new version of its data set, once, and for none that was there before", async () => {
    const { upload, put, firings, turn } = await ground();
    await upload(300);
    await put("fresh", { cron: null, triggers: [{ on: "dataset" }] });
    await turn();
    expect(await firings("fresh")).toEqual([]);
    const version = await upload(400, { seed: 4 });
    await turn();
    await turn();
    expect(await firings("fresh")).toMatchObject([
      { state: "succeeded", cause: { kind: "dataset", version }, dataVersion: version },
    ]);
  }, 60_000);

  it("is paused, resumed, changed, removed and read back, each change audited, and refuses what makes no sense", async () => {
    const { put, ask, clock, firings, turn, platform } = await ground();
    await put("nightly");
    await ask("POST", "/api/v1/schedules/nightly/pause", { reason: "holidays" });
    clock.advance(3 * dayMs);
    await turn(1);
    expect(await firings("nightly")).toEqual([]);
    const resumed = await ask<Schedule>("POST", "/api/v1/schedules/nightly/resume", { reason: "back" });
    expect(resumed).toMatchObject({ revision: 3, nextDueMs: Date.UTC(2026, 0, 9, 2) });
    await ask("POST", "/api/v1/schedules/nightly/resume", { reason: "again" }, 409);
    const stale = await call(
      platform.app,
      "PUT",
      "/api/v1/schedules/nightly",
      { cron: "0 0 3 * * *", training },
      { "if-match": '"1"' },
    );
    expect(stale.status).toBe(412);
    for (const [change, words] of [
      [{ cron: "every night" }, /cron is/],
      [{ cron: null }, /nothing would ever start it/],
      [{ timeZone: "Nowhere/Atlantis" }, /Nowhere/],
      [{ overlap: "both" }, /overlap/],
      [{ rollout: { deployment: "d", plan: { steps: [] } } }, /steps/],
      [{ training: { ...training, task: "poetry" } }, /task/],
    ] as const) {
      const answer = await call(platform.app, "PUT", "/api/v1/schedules/bad", {
        cron: "0 0 2 * * *",
        training,
        ...change,
      });
      expect([answer.status, JSON.stringify(answer.body)]).toEqual([400, expect.stringMatching(words)]);
    }
    await ask("DELETE", "/api/v1/schedules/nightly", undefined, 204);
    await ask("GET", "/api/v1/schedules/nightly", undefined, 404);
    const audit = await ask<{ items: { action: string }[] }>("GET", "/api/v1/audit?limit=20");
    const actions = audit.items
      .map(({ action }) => action)
      .filter((action) => action.startsWith("schedule."));
    expect(actions.toReversed()).toEqual([
      "schedule.create",
      "schedule.change",
      "schedule.change",
      "schedule.delete",
    ]);
  });

  it("fails with a reason where its data set or a column is not there, and fires again the next time", async () => {
    const { put, firings, clock, turn, upload } = await ground();
    await put("nightly");
    clock.advance(dayMs);
    await turn(1);
    expect(await firings("nightly")).toMatchObject([
      { state: "failed", reason: expect.stringContaining('no data set "stops"') },
    ]);
    await upload(300);
    await put("nightly", { training: { ...training, features: [{ column: "speed" }] } });
    clock.advance(dayMs);
    await turn(1);
    const [newest] = await firings("nightly");
    expect(newest).toMatchObject({ state: "failed", reason: expect.stringContaining("speed") });
  }, 60_000);

  it("rolls a promoted version out by its plan, and its firing ends with the rollout", async () => {
    const { upload, put, firings, turn, ask, clock, platform } = await ground();
    await upload(600);
    await put("first", { cron: null, triggers: [{ on: "dataset" }] });
    await ask("POST", "/api/v1/schedules/first/run", {}, 202);
    await turn();
    await ask(
      "PUT",
      "/api/v1/deployments/stops-live",
      {
        variants: [{ name: "main", model: "stops", version: "1", weight: 100 }],
      },
      201,
    );
    const plan = { steps: [{ weight: 50, minutes: 1 }], gates: [] };
    await put("rolling", {
      cron: null,
      triggers: [{ on: "dataset" }],
      training: { ...training, promotion: { policy: "always" } },
      rollout: { deployment: "stops-live", plan },
    });
    await upload(900, { seed: 5 });
    await turn();
    const [rolling] = await firings("rolling");
    expect(rolling).toMatchObject({
      state: "rolling_out",
      promoted: true,
      rollout: { deployment: "stops-live", state: "running" },
    });
    clock.advance(120_000);
    await runTimer(platform, "serving-rollouts");
    await turn(1);
    expect((await firings("rolling"))[0]).toMatchObject({
      state: "succeeded",
      rollout: { state: "completed" },
    });
    const deployment = await ask<{ variants: object[] }>("GET", "/api/v1/deployments/stops-live");
    expect(deployment.variants).toMatchObject([{ version: String(rolling?.model?.version), weight: 100 }]);
  }, 120_000);

  it("closes the circle: drift raises an alert, the alert retrains once, and the gate says why the version stays", async () => {
    const { upload, put, firings, turn, ask, clock, platform } = await ground();
    const version = await upload(600);
    await put("retrain", {
      cron: null,
      triggers: [{ on: "alert", monitor: "watch" }],
      training,
    });
    await ask("POST", "/api/v1/schedules/retrain/run", {}, 202);
    await turn();
    await ask(
      "PUT",
      "/api/v1/deployments/live",
      {
        variants: [{ name: "main", model: "stops", version: "1", weight: 100 }],
      },
      201,
    );
    await ask("PUT", "/api/v1/monitors/watch", {
      target: { deployment: "live" },
      policy: "retrain",
      windowHours: 1,
      everyHours: 1,
      minimumRows: 50,
      alert: { badWindows: 1, ofWindows: 1, clearWindows: 1, coolDownHours: 24 },
    });
    clock.advance(2000);
    const random = randomSource(9);
    const drifted = async () => {
      for (let i = 0; i < 100; i++) {
        const inputs = [
          { name: "x", shape: [1, 1], datatype: "FP32", data: [random.normal() + 3] },
          { name: "group", shape: [1, 1], datatype: "BYTES", data: ["a"] },
        ];
        await ask("POST", "/v2/models/live/infer", { inputs });
      }
      clock.advance(3_600_000);
      await runTimer(platform, "monitoring-evaluate");
      await platform.runner.drain();
      await turn();
    };
    await drifted();
    await drifted();
    const { items } = await ask<{ items: { id: string; signal: string; action: object }[] }>(
      "GET",
      "/api/v1/alerts?monitor=watch",
    );
    const alert = items.find(({ signal }) => signal === "data_drift");
    expect(alert?.action).toMatchObject({
      kind: "retrain",
      state: "done",
      detail: 'Fired: schedule "retrain".',
    });
    // Drift of the data and of the predictions at once retrain once.
    const byAlert = (await firings("retrain")).filter(({ cause }) => cause.kind === "alert");
    expect(byAlert.map(({ state }) => state).toSorted()).toEqual(["skipped", "succeeded"]);
    expect(byAlert.find(({ state }) => state === "succeeded")).toMatchObject({
      cause: { kind: "alert", monitor: "watch", message: expect.stringContaining("drift") },
      dataVersion: version,
      model: { version: expect.any(Number) },
      promoted: false,
      verdict: expect.any(String),
    });
    // The alert of a monitor that no schedule waits for says what to do.
    await ask("DELETE", "/api/v1/schedules/retrain", undefined, 204);
    await ask("PUT", "/api/v1/monitors/other", {
      target: { deployment: "live" },
      policy: "retrain",
      windowHours: 1,
      everyHours: 1,
      minimumRows: 50,
      alert: { badWindows: 1, ofWindows: 1, clearWindows: 1, coolDownHours: 0 },
    });
    await drifted();
    const others = await ask<{ items: { signal: string; action: object }[] }>(
      "GET",
      "/api/v1/alerts?monitor=other",
    );
    expect(others.items.find(({ signal }) => signal === "data_drift")?.action).toMatchObject({
      state: "failed",
      detail: expect.stringContaining('add {"on": "alert", "monitor": "other"}'),
    });
  }, 120_000);
});

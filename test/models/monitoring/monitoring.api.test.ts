import { afterEach, describe, expect, it } from "vitest";
import type { Alert, MonitorResult } from "../../../models/monitoring/schemas.ts";
import { call } from "../../support/application.ts";
import { toldBy } from "../../support/events.ts";
import { randomSource } from "../../support/random.ts";
import { closeGrounds, dayMs, type Ground, ground, hourMs } from "./ground.ts";
import { column, prediction } from "./predictions.ts";

afterEach(closeGrounds);

describe("monitors", () => {
  it("are made, read, replaced, listed and deleted, each change a numbered revision with author and reason", async () => {
    const { app } = await ground();
    const spec = { target: { deployment: "flights" }, reason: "first" };
    const made = await call(app, "PUT", "/api/v1/monitors/drift", spec);
    expect(made).toMatchObject({ status: 200, body: { revision: 1, windowHours: 24, minimumRows: 300 } });
    expect(made.headers.get("etag")).toBe('"1"');
    const changed = await call(
      app,
      "PUT",
      "/api/v1/monitors/drift",
      { ...spec, minimumRows: 100 },
      { "if-match": '"1"' },
    );
    expect(changed.body).toMatchObject({ revision: 2, minimumRows: 100 });
    expect((await call(app, "GET", "/api/v1/monitors")).body).toMatchObject({ items: [{ name: "drift" }] });
    expect((await call(app, "DELETE", "/api/v1/monitors/drift?reason=done")).status).toBe(204);
    expect((await call(app, "GET", "/api/v1/monitors/drift")).status).toBe(404);
    const history = await call(app, "GET", "/api/v1/monitors/drift/revisions");
    expect(history.body).toMatchObject({
      items: [
        { revision: 3, change: "delete", spec: null, reason: "done" },
        { revision: 2, change: "change", spec: { minimumRows: 100 } },
        { revision: 1, change: "create", reason: "first", author: { name: expect.any(String) } },
      ],
    });
  });

  it("refuse a change that was made for another revision", async () => {
    const { app, put } = await ground();
    await put("drift");
    const spec = { target: { deployment: "flights" } };
    const stale = await call(app, "PUT", "/api/v1/monitors/drift", spec, { "if-match": '"7"' });
    expect(stale).toMatchObject({ status: 412 });
    expect(await call(app, "PUT", "/api/v1/monitors/drift", spec, { "if-match": "abc" })).toMatchObject({
      status: 400,
    });
  });

  it.each([
    ["an unknown deployment", { target: { deployment: "nothing" } }, 404],
    ["an unknown version", { target: { model: "late", version: "9" } }, 404],
    ["no target", {}, 400],
    ["an unknown member", { target: { deployment: "flights" }, treshold: 1 }, 400],
    ["more bad windows than windows", { target: { deployment: "flights" }, alert: { badWindows: 4 } }, 400],
    ["a negative threshold", { target: { deployment: "flights" }, thresholds: { psi: -1 } }, 400],
  ])("refuse %s", async (_, body, status) => {
    const { app } = await ground();
    const answer = await call(app, "PUT", "/api/v1/monitors/drift", body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  });
});

describe("a captured window", () => {
  it("is ok while predictions look like the training data, and drifts when they do not", async () => {
    const { put, predictDay, evaluate, clock } = await ground();
    await put("drift");
    predictDay(0, 1000);
    clock.advance(dayMs);
    const same = await evaluate("drift");
    expect(same).toMatchObject({
      series: "capture",
      model: "late",
      modelVersion: "1",
      windowEndMs: clock(),
      captured: { requests: 1000, duplicates: 0, errors: 0 },
      traffic: { requests: 1000, errors: 0 },
      drift: { verdict: "ok", predictionVerdict: "ok", rows: 1000, judgedColumns: 2 },
    });
    predictDay(1, 1000);
    clock.advance(dayMs);
    const other = await evaluate("drift");
    expect(other.drift).toMatchObject({ verdict: "drift", driftedColumns: ["distance"], driftedShare: 0.5 });
    expect(other.signals.find((signal) => signal.signal === "data_drift")).toMatchObject({
      value: 0.5,
      outcome: "bad",
    });
  });

  it("that ended while nobody was here is made up for, the oldest first, and asked for once", async () => {
    const made = await ground();
    await made.put("drift", { windowHours: 24, everyHours: 24 });
    for (let day = 0; day < 3; day++) {
      made.predictDay(0);
      made.clock.advance(dayMs);
    }
    for (let round = 0; round < 3; round++) {
      await made.timer("monitoring-evaluate");
      await made.runner.drain();
    }
    const { items } = (await call(made.app, "GET", "/api/v1/monitors/drift/results")).body as {
      items: MonitorResult[];
    };
    expect(items.map(({ drift }) => drift.verdict)).toEqual(["ok", "ok", "ok"]);
    const ends = items.map(({ windowEndMs }) => windowEndMs);
    expect([ends[0]! - ends[1]!, ends[1]! - ends[2]!]).toEqual([dayMs, dayMs]);
    expect(items.map(({ resultVersion }) => resultVersion)).toEqual([1, 1, 1]);
  });

  it("is judged twice and gives one result, which moves signals once", async () => {
    const { app, put, predictDay, evaluate, clock } = await ground();
    await put("drift");
    predictDay(1);
    clock.advance(dayMs);
    const first = await evaluate("drift");
    const second = await evaluate("drift", { windowEndMs: clock() });
    expect(second).toEqual(first);
    const { items } = (await call(app, "GET", "/api/v1/monitors/drift/results")).body as { items: unknown[] };
    expect(items).toHaveLength(1);
    expect((await call(app, "GET", "/api/v1/monitors/drift/signals")).body).toMatchObject({
      items: expect.arrayContaining([
        expect.objectContaining({ signal: "data_drift", state: "pending", recent: ["bad"] }),
      ]),
    });
  });

  it("takes in what arrived late, as the next version of its result", async () => {
    const { put, predictDay, evaluate, clock, serving } = await ground();
    await put("drift");
    predictDay(0);
    const startMs = clock();
    clock.advance(dayMs);
    expect(await evaluate("drift")).toMatchObject({ resultVersion: 1, captured: { requests: 400 } });
    serving.predict(
      prediction({ requestId: "late", atMs: startMs + hourMs, inputs: { distance: column([0]) } }),
    );
    expect(await evaluate("drift", { windowEndMs: clock() })).toMatchObject({
      resultVersion: 2,
      captured: { requests: 401 },
    });
  });

  it("counts a request that was captured twice once", async () => {
    const { put, evaluate, clock, serving } = await ground();
    await put("drift", { minimumRows: 1 });
    const twice = prediction({ requestId: "same", atMs: clock() });
    serving.predict(twice);
    serving.predict({ ...twice, atMs: twice.atMs + 1000 });
    clock.advance(hourMs);
    expect(await evaluate("drift")).toMatchObject({
      captured: { requests: 1, duplicates: 1 },
      drift: { rows: 1 },
    });
  });

  it("with few rows is inconclusive, and with none no_data", async () => {
    const { put, predictDay, evaluate, clock } = await ground();
    await put("drift");
    expect((await evaluate("drift")).drift.verdict).toBe("no_data");
    predictDay(5, 100);
    clock.advance(dayMs);
    expect((await evaluate("drift")).drift.verdict).toBe("inconclusive");
  });

  it("is judged by the version that answered most, and names the others", async () => {
    const { put, predictDay, evaluate, clock } = await ground();
    await put("drift");
    predictDay(0, 400, { modelVersion: "2" });
    predictDay(0, 50);
    predictDay(0, 50, { shadow: true, modelVersion: "3" });
    clock.advance(dayMs);
    expect(await evaluate("drift")).toMatchObject({ modelVersion: "2", otherVersions: ["1"] });
  });

  it("of a model takes in all deployments of it", async () => {
    const { put, predictDay, evaluate, clock } = await ground();
    await put("model", { target: { model: "late", version: "1" } });
    predictDay(0, 200);
    predictDay(0, 200, { deployment: "other" });
    predictDay(0, 200, { deployment: null, revision: null, variant: null });
    predictDay(0, 200, { modelVersion: "2" });
    clock.advance(dayMs);
    expect(await evaluate("model")).toMatchObject({ captured: { requests: 600 }, traffic: null });
  });

  it("does not judge fields that were dropped or hashed", async () => {
    const { put, predictDay, evaluate, clock } = await ground();
    await put("drift", { capture: { drop: ["distance"], hash: ["origin"] } });
    predictDay(3);
    clock.advance(dayMs);
    const { drift } = await evaluate("drift");
    expect(drift.columns.map(({ column: name }) => name)).toEqual(["output:probability"]);
  });

  it("fails with a reason that helps when the version has no reference profile", async () => {
    const { app, put, predictDay, clock, blobs, runner, jobs } = await ground();
    await put("drift");
    await blobs.delete("models/late/1/reference-profile.json");
    predictDay(0, 10);
    clock.advance(hourMs);
    const { body } = await call(app, "POST", "/api/v1/monitors/drift/evaluate", {});
    await runner.drain();
    const job = await jobs.get((body as { id: string }).id);
    expect(job).toMatchObject({ state: "failed", attempt: 1 });
    expect(job.error).toContain("give the monitor a dataset as its reference");
  });
});

describe("alerts", () => {
  /** One signal only: predictions would raise alerts of their own. */
  const inputs = { columns: ["distance", "origin"] };

  /** Days with a mean each, judged one after the other by the timer. */
  async function days(made: Ground, means: readonly number[]): Promise<void> {
    for (const mean of means) {
      made.predictDay(mean);
      made.clock.advance(dayMs);
      await made.timer("monitoring-evaluate");
      await made.runner.drain();
      await made.timer("monitoring-evaluate"); // an hour later nothing is due
    }
  }
  const alertsOf = async ({ app }: Ground) =>
    ((await call(app, "GET", "/api/v1/alerts")).body as { items: Alert[] }).items;

  it("fire after two bad days of three, and end after three clear ones", async () => {
    const made = await ground();
    await made.put("drift", inputs);
    await days(made, [0, 1]);
    expect(await alertsOf(made)).toHaveLength(0);
    await days(made, [0, 1]);
    const [alert] = await alertsOf(made);
    expect(alert).toMatchObject({
      signal: "data_drift",
      state: "firing",
      message: "The data drifted: distance (0.5 of the columns, 0.2 allowed).",
      action: { kind: "notify", state: "done" },
    });
    await days(made, [0]);
    expect((await alertsOf(made))[0]?.state).toBe("resolving");
    await days(made, [0, 0]);
    expect((await alertsOf(made))[0]).toMatchObject({ state: "resolved", resolvedMs: made.clock() });
    const { items } = (await call(made.app, "GET", "/api/v1/monitors/drift/results?limit=3")).body as {
      items: unknown[];
    };
    expect(items).toHaveLength(3);
  }, 60_000);

  it("of drift are told as events, once each, whatever windows come after or are judged again", async () => {
    const made = await ground();
    const thresholds = { errorRate: 0.001 };
    await made.put("deployed", { ...inputs, thresholds });
    await made.put("model", { ...inputs, target: { model: "late", version: "1" } });
    const told = () =>
      toldBy(made, "drift.detected").toSorted((a, b) => (`${a.monitor}` < `${b.monitor}` ? -1 : 1));
    await days(made, [1]);
    expect(told()).toEqual([]);
    made.predictDay(1, 10, { status: "error", errorKind: "timeout", outputs: {} });
    await days(made, [1]);
    const drift = { signal: "data_drift", value: 0.5, limit: 0.2 };
    const events = [
      { monitor: "deployed", deployment: "flights", ...drift },
      { monitor: "model", deployment: null, ...drift },
    ];
    expect(told()).toEqual(events);
    made.predictDay(1, 10, { status: "error", errorKind: "timeout", outputs: {} });
    await days(made, [1]);
    await made.evaluate("deployed", { windowEndMs: made.clock() });
    expect((await alertsOf(made)).map(({ signal }) => signal).sort()).toEqual([
      "data_drift",
      "data_drift",
      "error_rate",
    ]);
    expect(told()).toEqual(events);
  }, 60_000);

  it("ask for retraining once under that policy, and never for a rollback", async () => {
    const made = await ground();
    await made.put("retraining", { ...inputs, policy: "retrain" });
    await made.put("rolling", { ...inputs, policy: "rollback" });
    await days(made, [1, 1, 1]);
    expect(made.retrained).toEqual([
      expect.objectContaining({ monitor: "retraining", target: { deployment: "flights" } }),
    ]);
    expect(made.serving.rollbacks).toEqual([]);
    const kinds = (await alertsOf(made)).map(({ monitor, action }) => [monitor, action.kind, action.state]);
    expect(kinds.sort()).toEqual([
      ["retraining", "retrain", "done"],
      ["rolling", "notify", "done"],
    ]);
  }, 60_000);

  it("only say what they would do in a dry run", async () => {
    const made = await ground();
    await made.put("drift", {
      ...inputs,
      policy: "retrain",
      dryRun: true,
    });
    await days(made, [1, 1]);
    expect(made.retrained).toEqual([]);
    expect((await alertsOf(made))[0]?.action).toMatchObject({ kind: "retrain", state: "skipped" });
  }, 60_000);

  it("are acknowledged and muted, and a muted signal does nothing", async () => {
    const made = await ground();
    await made.put("drift", {
      ...inputs,
      policy: "retrain",
      alert: { badWindows: 1, ofWindows: 1, clearWindows: 1, coolDownHours: 0 },
    });
    await days(made, [1]);
    const [{ id }] = (await alertsOf(made)) as [Alert];
    const acknowledged = await call(made.app, "POST", `/api/v1/alerts/${id}/acknowledge`);
    expect(acknowledged.body).toMatchObject({
      acknowledgedMs: made.clock(),
      acknowledgedBy: expect.any(String),
    });
    const untilMs = made.clock() + 30 * dayMs;
    const muted = await call(made.app, "POST", `/api/v1/alerts/${id}/mute`, { untilMs, reason: "known" });
    expect(muted.body).toMatchObject({ mutedUntilMs: untilMs });
    await days(made, [0, 1]);
    expect(await alertsOf(made)).toMatchObject([
      { state: "firing", action: { kind: "retrain", state: "skipped", detail: "The signal is muted." } },
      { id, state: "resolved" },
    ]);
    expect(made.retrained).toHaveLength(1);
    expect((await call(made.app, "GET", `/api/v1/alerts/${id}`)).status).toBe(200);
    expect((await call(made.app, "GET", "/api/v1/alerts/none")).status).toBe(404);
  }, 60_000);

  it("start anew for a monitor that was deleted and made again", async () => {
    const made = await ground();
    await made.put("drift", inputs);
    await days(made, [1]);
    await call(made.app, "DELETE", "/api/v1/monitors/drift");
    await made.put("drift", inputs);
    await days(made, [1]);
    expect(await alertsOf(made)).toHaveLength(0);
  }, 60_000);
});

describe("a window of a dataset", () => {
  const csv = (means: readonly number[]) => {
    const random = randomSource(3);
    const rows = means.flatMap((mean, day) =>
      Array.from(
        { length: 400 },
        (_, i) =>
          `2026-02-${String(day + 1).padStart(2, "0")}T00:00:${String(i % 60).padStart(2, "0")},${random.normal() + mean},${i % 2 ? "a" : "b"}`,
      ),
    );
    return ["at,delay,carrier", ...rows].join("\n");
  };

  async function withDataset(means: readonly number[]) {
    const made = await ground();
    const answer = await call(
      made.app,
      "POST",
      "/api/v1/datasets/delays/versions?format=csv",
      Buffer.from(csv(means)),
    );
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
    await made.runner.drain();
    const fromMs = Date.UTC(2026, 1, 1);
    const slice = (day: number) => ({
      dataset: "delays",
      version: "latest",
      timeColumn: "at",
      fromMs: fromMs + day * dayMs,
      toMs: fromMs + (day + 1) * dayMs,
    });
    return { made, slice };
  }

  it("is held against another slice of it, day by day, and raises alerts in the order of the days", async () => {
    const { made, slice } = await withDataset([0, 0, 1, 1]);
    await made.put("delays", { reference: { kind: "dataset", ...slice(0) } });
    const verdicts: string[] = [];
    for (const day of [1, 2, 3]) {
      const result = await made.evaluate("delays", { window: slice(day) });
      verdicts.push(result.drift.verdict);
      expect(result).toMatchObject({
        series: "dataset:delays",
        captured: null,
        windowEndMs: slice(day).toMs,
      });
    }
    expect(verdicts).toEqual(["ok", "drift", "drift"]);
    const { items } = (await call(made.app, "GET", "/api/v1/alerts?monitor=delays")).body as {
      items: Alert[];
    };
    const drifting = items.filter((alert) => alert.signal === "data_drift");
    expect(drifting).toMatchObject([{ series: "dataset:delays", state: "firing", value: 0.5 }]);
    const again = await made.evaluate("delays", { window: slice(3) });
    expect(again.resultVersion).toBe(1);
    const chart = await call(made.app, "GET", "/api/v1/monitors/delays/chart.svg");
    expect(chart.headers.get("content-type")).toBe("image/svg+xml");
    expect(chart.body).toContain(">delay</text>");
    expect(String(chart.body).match(/fill="#c62828"/g)).toHaveLength(2);
  }, 60_000);

  it("is refused with what would be right when its time column is none", async () => {
    const { made, slice } = await withDataset([0]);
    await made.put("delays", { reference: { kind: "dataset", ...slice(0) } });
    const { body } = await call(made.app, "POST", "/api/v1/monitors/delays/evaluate", {
      window: { ...slice(0), timeColumn: "carrier" },
    });
    await made.runner.drain();
    const job = await made.jobs.get((body as { id: string }).id);
    expect(job.state).toBe("failed");
    expect(job.error).toContain('its times are "at"');
  });

  it("has no verdict for columns that it lacks or has in another type", async () => {
    const { made, slice } = await withDataset([0]);
    await made.put("training");
    made.predictDay(0);
    made.clock.advance(dayMs);
    const result = await made.evaluate("training", { window: slice(0) });
    expect(result.drift).toMatchObject({ verdict: "no_data", rows: 0 });
    expect(result.drift.columns.map(({ verdict }) => verdict)).toEqual(["no_data", "no_data", "no_data"]);
  });
});

describe("capture", () => {
  it("tells what this instance kept, and keeps nothing of models that nobody watches", async () => {
    const { app, put, predictDay, serving, timer, blobs } = await ground();
    await put("drift");
    predictDay(0, 5);
    serving.predict(prediction({ requestId: "direct", deployment: null }));
    await timer("monitoring-flush");
    expect((await call(app, "GET", "/api/v1/monitors/drift/capture")).body).toMatchObject({
      deployment: "flights",
      sampleRate: 1,
      seen: 5,
      captured: 5,
      dropped: 0,
      failed: 0,
    });
    expect((await blobs.list("capture/v1/deployment=_direct/")).blobs).toHaveLength(0);
  });

  it("ends after the configured days; the results stay, and are not replaced by ones from nothing", async () => {
    const made = await ground();
    const { app, put, predictDay, timer, blobs, clock, evaluate } = made;
    await put("drift");
    predictDay(0);
    await timer("monitoring-flush");
    clock.advance(dayMs);
    const first = await evaluate("drift");
    expect(first).toMatchObject({ resultVersion: 1, drift: { verdict: "ok" } });
    clock.advance(90 * dayMs);
    await timer("monitoring-retention");
    for (const root of ["capture/", "monitoring/hours/"]) expect((await blobs.list(root)).blobs).toEqual([]);
    expect(made.logged).toContainEqual(
      expect.objectContaining({ msg: "old captured predictions were removed" }),
    );
    const again = await call(app, "POST", "/api/v1/monitors/drift/evaluate", {
      windowEndMs: first.windowEndMs,
    });
    await made.runner.drain();
    const job = await made.jobs.get((again.body as { id: string }).id);
    expect(job).toMatchObject({ state: "failed", attempt: 1 });
    expect(job.error).toMatch(
      /^Predictions are kept since 2026-01-06T00:00:00.000Z; .* cannot be judged again/,
    );
    const latest = await call(app, "GET", "/api/v1/monitors/drift/results/latest");
    expect(latest.body).toEqual(first);
  });
});

import { afterEach, describe, expect, it } from "vitest";
import { call } from "../../../support/application.ts";
import { closeGrounds, dayMs, ground, hourMs } from "../ground.ts";
import { column, prediction, texts } from "../predictions.ts";

afterEach(closeGrounds);

describe("labels", () => {
  it("give coverage and error of the predictions they belong to, later ones in place of earlier ones", async () => {
    const { app, put, serving, evaluate, clock } = await ground();
    await put("labelled", { minimumRows: 1, thresholds: { labelledError: 0.5 } });
    for (let i = 0; i < 10; i++) {
      serving.predict(
        prediction({
          requestId: `r${i}`,
          atMs: clock() + i,
          outputs: { label: texts([i < 5 ? "yes" : "no"]) },
        }),
      );
    }
    const observedAt = clock() + hourMs;
    const labels = Array.from({ length: 8 }, (_, i) => ({ requestId: `r${i}`, value: "yes", observedAt }));
    const iso = new Date(observedAt).toISOString();
    expect((await call(app, "POST", "/api/v1/labels", { labels })).body).toEqual({ stored: 8 });
    expect(
      (
        await call(app, "POST", "/api/v1/labels", {
          labels: [{ ...labels[7], value: "no", observedAt: iso }],
        })
      ).body,
    ).toEqual({ stored: 1 });
    expect((await call(app, "POST", "/api/v1/labels", { labels })).body).toEqual({ stored: 1 });
    clock.advance(dayMs);
    const { labelled, signals } = await evaluate("labelled");
    expect(labelled).toMatchObject({
      labels: 8,
      predictions: 10,
      coverage: 0.8,
      metric: "error_rate",
      value: 3 / 8,
    });
    expect(signals.at(-1)).toMatchObject({ signal: "labelled_error", value: 0.375, outcome: "clear" });
  });

  it("of numbers give the mean absolute error", async () => {
    const { app, put, serving, evaluate, clock } = await ground();
    await put("labelled", { minimumRows: 1 });
    serving.predict(
      prediction({ requestId: "r", atMs: clock(), outputs: { y: column([1.5, 2.5]) }, inputs: {} }),
    );
    const labels = [0, 1].map((rowIndex) => ({
      requestId: "r",
      rowIndex,
      value: 2.25,
      observedAt: clock() + 1,
    }));
    await call(app, "POST", "/api/v1/labels", { labels });
    clock.advance(dayMs);
    expect((await evaluate("labelled")).labelled).toMatchObject({
      metric: "mean_absolute_error",
      value: 0.5,
    });
  });

  it("of classes are compared with the most probable one where a model gives probabilities alone", async () => {
    const { app, put, serving, evaluate, clock } = await ground();
    await put("labelled", { minimumRows: 1 });
    const data = Float64Array.of(0.7, 0.2, 0.1, 0.1, 0.2, 0.7, 0.3, 0.4, 0.3);
    serving.predict(
      prediction({
        requestId: "r",
        atMs: clock(),
        inputs: {},
        outputs: { probabilities: { datatype: "FP64", shape: [3, 3], data } },
      }),
    );
    const labels = [0, 2, 0].map((value, rowIndex) => ({
      requestId: "r",
      rowIndex,
      value,
      observedAt: clock() + 1,
    }));
    await call(app, "POST", "/api/v1/labels", { labels });
    clock.advance(dayMs);
    expect((await evaluate("labelled")).labelled).toMatchObject({
      labels: 3,
      metric: "error_rate",
      value: 1 / 3,
    });
  });

  it("of a quiet deployment count beside any number of newer ones of busy ones", async () => {
    const { app, put, serving, evaluate, clock } = await ground();
    await put("labelled", { minimumRows: 1 });
    serving.predict(prediction({ requestId: "mine", atMs: clock(), outputs: { label: texts(["yes"]) } }));
    const observedAt = clock();
    await call(app, "POST", "/api/v1/labels", { labels: [{ requestId: "mine", value: "yes", observedAt }] });
    for (let batch = 0; batch < 201; batch++) {
      const labels = Array.from({ length: 1000 }, (_, i) => ({
        requestId: `theirs-${batch}-${i}`,
        value: "no",
        observedAt: observedAt + 1000,
      }));
      expect((await call(app, "POST", "/api/v1/labels", { labels })).status).toBe(200);
    }
    clock.advance(dayMs);
    expect((await evaluate("labelled")).labelled).toMatchObject({ labels: 1, coverage: 1, value: 0 });
  }, 120_000);

  it("that come late make a new version of the result, and the old one stays", async () => {
    const { app, put, serving, evaluate, clock } = await ground();
    await put("labelled", { minimumRows: 1 });
    serving.predict(prediction({ requestId: "r", atMs: clock(), outputs: { label: texts(["yes"]) } }));
    clock.advance(dayMs);
    const { windowEndMs } = await evaluate("labelled");
    await call(app, "POST", "/api/v1/labels", {
      labels: [{ requestId: "r", value: "no", observedAt: clock() }],
    });
    await evaluate("labelled", { windowEndMs });
    const path = `/api/v1/monitors/labelled/results/${windowEndMs}/versions`;
    expect((await call(app, "GET", path)).body).toMatchObject({
      items: [
        { resultVersion: 2, labelled: { labels: 1, value: 1 } },
        { resultVersion: 1, labelled: null },
      ],
    });
    const missing = await call(app, "GET", `/api/v1/monitors/labelled/results/${windowEndMs + 1}/versions`);
    expect(missing.status).toBe(404);
  });

  it("are refused when they say nothing", async () => {
    const { app } = await ground();
    expect((await call(app, "POST", "/api/v1/labels", { labels: [] })).status).toBe(400);
    expect(
      (
        await call(app, "POST", "/api/v1/labels", {
          labels: [{ requestId: "a", value: 1, observedAt: "today" }],
        })
      ).status,
    ).toBe(400);
  });
});

import type { Attributes, Meter } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../shared/config.ts";
import { createEvents, createLogger, type Events } from "../../../shared/telemetry/index.ts";

/** What one event writes to the log and adds to the metrics. */
function toldBy(tell: (events: Events) => void) {
  const logged: Record<string, unknown>[] = [];
  const measured: { name: string; value: number; attributes: Attributes }[] = [];
  const instrument = (name: string) => {
    const note = (value: number, attributes: Attributes = {}) =>
      void measured.push({ name, value, attributes });
    return { add: note, record: note };
  };
  const meter = { createCounter: instrument, createHistogram: instrument } as unknown as Meter;
  const logger = createLogger(loadConfig({ KETLINE_LOG_LEVEL: "info" }), {
    write: (line) => void logged.push(JSON.parse(line)),
  });
  tell(createEvents(logger, meter));
  return { logged, measured };
}

describe("events", () => {
  it("of a job's end are logged with its id and counted without it", () => {
    const { logged, measured } = toldBy((events) =>
      events.jobEnded({
        jobId: "j1",
        kind: "training.fit",
        state: "succeeded",
        attempts: 2,
        durationMs: 1500,
        waitedMs: 200,
      }),
    );
    expect(logged).toMatchObject([{ event: "job.ended", jobId: "j1", kind: "training.fit", attempts: 2 }]);
    expect(measured).toEqual([
      { name: "ketline.jobs", value: 1, attributes: { kind: "training.fit", state: "succeeded" } },
      { name: "ketline.job.duration", value: 1.5, attributes: { kind: "training.fit", state: "succeeded" } },
      { name: "ketline.job.wait", value: 0.2, attributes: { kind: "training.fit" } },
    ]);
  });

  it("of predictions are counted by deployment and variant, and logged only to who looks closer", () => {
    const { logged, measured } = toldBy((events) =>
      events.predictionServed({
        deployment: "late-flights",
        revision: 7,
        variant: "champion",
        rows: 32,
        durationMs: 4,
        outcome: "ok",
      }),
    );
    expect(logged).toEqual([]);
    expect(measured.map(({ name, value }) => [name, value])).toEqual([
      ["ketline.predictions", 1],
      ["ketline.prediction.rows", 32],
      ["ketline.prediction.duration", 0.004],
    ]);
    expect(measured[0]?.attributes).toEqual({
      deployment: "late-flights",
      variant: "champion",
      outcome: "ok",
    });
  });

  it("of predictions without a deployment count under one name, however many models there are", () => {
    const { measured } = toldBy((events) => {
      const without = { deployment: null, revision: null, variant: null };
      events.predictionServed({ ...without, rows: 0, durationMs: 1, outcome: "client_error" });
    });
    const attributes = { deployment: "_direct", variant: "_direct", outcome: "client_error" };
    expect(measured[0]).toEqual({ name: "ketline.predictions", value: 1, attributes });
  });

  it("of predictions are not even looked at where nobody measures or looks closer", () => {
    const logger = createLogger(loadConfig({ KETLINE_LOG_LEVEL: "info" }));
    const event = new Proxy({} as Parameters<Events["predictionServed"]>[0], {
      get(_, member) {
        throw new Error(`${String(member)} was read`);
      },
    });
    expect(() => createEvents(logger).predictionServed(event)).not.toThrow();
    const { measured } = toldBy((events) => expect(() => events.predictionServed(event)).toThrow("was read"));
    expect(measured).toEqual([]);
  });

  it("of a drift carry a deployment only where there is one", () => {
    const { measured } = toldBy((events) => {
      const drift = { monitor: "m", signal: "data_drift", value: 0.4, limit: 0.2 };
      events.driftDetected({ ...drift, deployment: "d" });
      events.driftDetected({ ...drift, deployment: null });
    });
    expect(measured.map(({ attributes }) => attributes)).toEqual([
      { monitor: "m", signal: "data_drift", deployment: "d" },
      { monitor: "m", signal: "data_drift" },
    ]);
  });

  it("of drift, deployments, datasets and quantum jobs are each one line and one count", () => {
    const { logged, measured } = toldBy((events) => {
      events.driftDetected({ monitor: "m", deployment: "d", signal: "data_drift", value: 0.4, limit: 0.2 });
      events.deploymentChanged({
        deployment: "d",
        revision: 2,
        change: "rollback",
        actor: "a",
        reason: "slow",
      });
      events.datasetRegistered({ dataset: "flights", datasetVersion: "v", rows: 3, sizeBytes: 4 });
      events.quantumJobEnded({
        jobId: "q",
        workspace: "local",
        target: "t",
        state: "succeeded",
        shots: 100,
        durationMs: 5,
      });
    });
    expect(logged.map((line) => line.event)).toEqual([
      "drift.detected",
      "deployment.changed",
      "dataset.registered",
      "quantum.job.ended",
    ]);
    expect(measured.filter(({ value }) => value === 1).map(({ name }) => name)).toEqual([
      "ketline.drifts",
      "ketline.deployment.changes",
      "ketline.dataset.versions",
      "ketline.quantum.jobs",
    ]);
    expect(measured).toContainEqual(expect.objectContaining({ name: "ketline.quantum.shots", value: 100 }));
  });
});

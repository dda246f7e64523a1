import { describe, expect, it } from "vitest";
import { createTrafficCounter, trafficOf } from "../../../models/monitoring/traffic.ts";
import { column, prediction } from "./predictions.ts";

const atMs = Date.UTC(2001, 3, 23, 7, 30);

describe("traffic", () => {
  it("tells the deployment's faults from the caller's, and counts answers that are no numbers", () => {
    const counter = createTrafficCounter();
    counter.count(prediction());
    counter.count(prediction({ status: "error", errorKind: "timeout", outputs: {} }));
    counter.count(prediction({ status: "error", errorKind: "internal", outputs: {} }));
    counter.count(prediction({ status: "error", errorKind: "invalid", outputs: {} }));
    counter.count(prediction({ outputs: { probability: column([Number.NaN]) } }));
    counter.count(
      prediction({ outputs: { half: { datatype: "FP16", shape: [1], data: Uint16Array.of(0x7c00) } } }),
    );
    expect(trafficOf(counter.takeChanged(atMs))).toMatchObject({
      requests: 6,
      errors: 2,
      rejected: 1,
      invalidOutputs: 2,
    });
  });

  it("is kept by minute, revision and version, and a minute is taken as a whole each time it changed", () => {
    const counter = createTrafficCounter();
    counter.count(prediction());
    counter.count(prediction({ modelVersion: "2" }));
    counter.count(prediction({ atMs: atMs + 60_000 }));
    expect(counter.takeChanged(atMs)).toHaveLength(3);
    expect(counter.takeChanged(atMs)).toHaveLength(0);
    counter.count(prediction({ atMs: atMs + 59_999 }));
    expect(counter.takeChanged(atMs)).toMatchObject([{ minuteMs: atMs, version: "1", requests: 2 }]);
  });

  it("of a model that was asked without a deployment is not counted: nothing is judged by it", () => {
    const counter = createTrafficCounter();
    counter.count(prediction({ deployment: null, revision: null, variant: null }));
    expect(counter.takeChanged(atMs)).toEqual([]);
  });

  it("taken before is not changed by what comes later", () => {
    const counter = createTrafficCounter();
    counter.count(prediction({ durationMs: 5 }));
    const [first] = counter.takeChanged(atMs);
    counter.count(prediction({ durationMs: 5 }));
    counter.count(prediction({ durationMs: 500 }));
    const [second] = counter.takeChanged(atMs);
    expect(Object.values(first?.latency ?? {})).toEqual([1]);
    expect(Object.values(second?.latency ?? {})).toEqual([2, 1]);
  });

  it("that could not be stored is taken again, with what came since", () => {
    const counter = createTrafficCounter();
    counter.count(prediction());
    const lost = counter.takeChanged(atMs);
    counter.count(prediction());
    counter.putBack(lost);
    expect(counter.takeChanged(atMs)).toMatchObject([{ requests: 2 }]);
    counter.putBack(lost);
    expect(counter.takeChanged(atMs + 600_000)).toMatchObject([{ requests: 2 }]);
  });

  it("gives percentiles of latency within a bin's width", () => {
    const counter = createTrafficCounter();
    for (let i = 1; i <= 100; i++) counter.count(prediction({ durationMs: i }));
    const { latencyP50Ms, latencyP95Ms } = trafficOf(counter.takeChanged(atMs));
    expect(latencyP50Ms).toBeGreaterThanOrEqual(50);
    expect(latencyP50Ms).toBeLessThanOrEqual(50 * 1.25);
    expect(latencyP95Ms).toBeGreaterThanOrEqual(95);
    expect(latencyP95Ms).toBeLessThanOrEqual(95 * 1.25);
  });
});

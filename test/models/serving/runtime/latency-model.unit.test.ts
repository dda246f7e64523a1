import { describe, expect, it } from "vitest";
import { createLatencyModel } from "../../../../models/serving/runtime/latency-model.ts";

/** A latency with a limit of 5 ms that has seen these. */
function seen(...runs: readonly (readonly [elements: number, runMs: number, times?: number])[]) {
  const latency = createLatencyModel(5);
  for (const [elements, runMs, times = 1] of runs) {
    for (let i = 0; i < times; i++) latency.measure(elements, runMs);
  }
  return latency;
}

describe("what a model takes for a size", () => {
  it("is not known before it was measured", () => {
    expect(seen().isQuick(1)).toBe(false);
    expect(seen([16, 0.1]).isQuick(1)).toBe(false);
  });

  it("is what it took for that size", () => {
    expect(seen([16, 4]).isQuick(16)).toBe(true);
    expect(seen([16, 6]).isQuick(16)).toBe(false);
  });

  it("is expected to grow with the square, one step at a time", () => {
    expect(seen([16, 0.3]).isQuick(64)).toBe(true);
    expect(seen([16, 0.4]).isQuick(64)).toBe(false);
    expect(seen([16, 0.001]).isQuick(256)).toBe(false);
  });

  it("is not forgotten for one pause of the machine", () => {
    expect(seen([16, 0.1, 10], [16, 1000]).isQuick(16)).toBe(true);
    expect(seen([16, 0.1, 10], [64, 1000], [64, 0.1]).isQuick(64)).toBe(true);
  });

  it("is learned anew when it stays slow", () => {
    expect(seen([16, 0.1, 10], [16, 50, 20]).isQuick(16)).toBe(false);
  });

  it("is tried again one day, while smaller ones stay quick", () => {
    const slow = seen([16, 0.1, 10], [64, 50, 20]);
    expect(slow.isQuick(64)).toBe(false);
    for (let i = 0; i < 1000; i++) slow.measure(16, 0.1);
    expect(slow.isQuick(64)).toBe(true);
  });
});

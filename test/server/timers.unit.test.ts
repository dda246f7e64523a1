import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startTimers } from "../../server/timers.ts";
import { createLogger } from "../../shared/telemetry/index.ts";

const hourMs = 3600_000;
const dayMs = 24 * hourMs;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("timers", () => {
  it("run by six fields in UTC, and not after they were stopped", async () => {
    const times: string[] = [];
    const timers = startTimers([timer("0 30 6 * * *", async () => void times.push(now()))], logger());
    await vi.advanceTimersByTimeAsync(2 * dayMs);
    expect(times).toEqual(["2026-01-01T06:30:00", "2026-01-02T06:30:00"]);
    timers.stop();
    await vi.advanceTimersByTimeAsync(2 * dayMs);
    expect(times).toHaveLength(2);
  });

  it("ask for the day of the month and the day of the week together, as Azure does", async () => {
    const days = ["2026-02-06", "2026-01-13", "2026-02-13"]; // a Friday, a 13th, a Friday the 13th
    const ran: string[] = [];
    for (const day of days) {
      vi.setSystemTime(Date.parse(`${day}T00:00:00Z`) - 1000);
      const timers = startTimers([timer("0 0 0 13 * 5", async () => void ran.push(day))], logger());
      await vi.advanceTimersByTimeAsync(2000);
      timers.stop();
    }
    expect(ran).toEqual(["2026-02-13"]);
  });

  it("leave a time out while the last run is still going", async () => {
    let runs = 0;
    let finish = () => {};
    const run = () => {
      runs++;
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    };
    const timers = startTimers([timer("0 0 * * * *", run)], logger());
    await vi.advanceTimersByTimeAsync(3 * hourMs);
    expect(runs).toBe(1);
    finish();
    await vi.advanceTimersByTimeAsync(hourMs);
    expect(runs).toBe(2);
    timers.stop();
    const settled = timers.settled();
    finish();
    await settled;
  });

  it("go on after a run that failed, and its failure is logged with their name", async () => {
    const lines: string[] = [];
    const run = async () => {
      throw new Error("the store is away");
    };
    const timers = startTimers([timer("0 0 * * * *", run)], logger(lines));
    await vi.advanceTimersByTimeAsync(2 * hourMs);
    timers.stop();
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      timer: "test",
      err: { message: "the store is away" },
    });
  });

  it("refuse a schedule that Azure would not take", () => {
    expect(() => startTimers([timer("every day", async () => {})], logger())).toThrow();
    expect(() => startTimers([timer("0 12 * * *", async () => {})], logger())).toThrow();
  });
});

function timer(schedule: string, run: () => Promise<void>) {
  return { name: "test", schedule, run };
}

function logger(lines: string[] = []) {
  return createLogger({ logLevel: "info", codeVersion: "test" }, { write: (line) => lines.push(line) });
}

function now(): string {
  return new Date().toISOString().slice(0, 19);
}

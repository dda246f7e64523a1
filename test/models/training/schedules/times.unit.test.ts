import { describe, expect, it } from "vitest";
import {
  checkTimetable,
  dueBetween,
  jitterMs,
  nextDue,
} from "../../../../models/training/schedules/times.ts";

const at = (text: string) => Date.parse(text);
const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
const utc = (cron: string) => ({ cron, timeZone: "UTC" });

describe("a timetable", () => {
  it("takes six fields with seconds first, or five without", () => {
    expect(iso(nextDue(utc("15 30 2 * * *"), at("2026-01-05T09:00:00Z")))).toBe("2026-01-06T02:30:15.000Z");
    expect(iso(nextDue(utc("30 2 * * *"), at("2026-01-05T09:00:00Z")))).toBe("2026-01-06T02:30:00.000Z");
  });

  it("is due where day of month and day of week both hold, as Azure Functions reads it", () => {
    // The next Friday the thirteenth after January 2026.
    expect(iso(nextDue(utc("0 0 0 13 * 5"), at("2026-01-05T00:00:00Z")))).toBe("2026-02-13T00:00:00.000Z");
  });

  it("follows the clock of its place: an hour that is left out is made up for, one that comes twice counts once", () => {
    const berlin = { cron: "0 30 2 * * *", timeZone: "Europe/Berlin" };
    const spring = dueBetween(berlin, at("2026-03-28T00:00:00Z"), at("2026-03-31T00:00:00Z"), 10).map(iso);
    expect(spring).toEqual([
      "2026-03-28T01:30:00.000Z",
      "2026-03-29T01:00:00.000Z",
      "2026-03-30T00:30:00.000Z",
    ]);
    const autumn = dueBetween(berlin, at("2026-10-24T00:00:00Z"), at("2026-10-27T00:00:00Z"), 10).map(iso);
    expect(autumn).toEqual([
      "2026-10-24T00:30:00.000Z",
      "2026-10-25T00:30:00.000Z",
      "2026-10-26T01:30:00.000Z",
    ]);
  });

  it("gives the newest of many times that have passed", () => {
    const passed = dueBetween(utc("0 0 * * * *"), at("2026-01-01T00:00:00Z"), at("2026-01-05T00:00:00Z"), 3);
    expect(passed.map(iso)).toEqual([
      "2026-01-04T22:00:00.000Z",
      "2026-01-04T23:00:00.000Z",
      "2026-01-05T00:00:00.000Z",
    ]);
  });

  it.each([
    ["every night", "UTC", /cron is "every night".*Six fields would be right/],
    ["0 0 2 * *  * * *", "UTC", /Six fields would be right/],
    ["0 0 25 * * *", "UTC", /Six fields would be right/],
    ["0 0 2 31 2 *", "UTC", /never due/],
    ["*/10 * * * * *", "UTC", /every 10 s; every minute is the most/],
    ["0 0 2 * * *", "Middle-earth/Bree", /Middle-earth/],
    ["", "UTC", /cron is ""/],
  ])("refuses %j in %s in words", (cron, timeZone, words) => {
    expect(() => checkTimetable({ cron, timeZone }, at("2026-01-05T00:00:00Z"))).toThrow(words);
  });

  it("fires a little later, the same for everybody, and differently for each day and schedule", () => {
    const days = Array.from({ length: 500 }, (_, day) => jitterMs("nightly", day * 86_400_000, 60_000));
    expect(days).toEqual(days.map((_, day) => jitterMs("nightly", day * 86_400_000, 60_000)));
    expect(Math.min(...days)).toBeLessThan(3000);
    expect(Math.max(...days)).toBeGreaterThan(57_000);
    expect(Math.max(...days)).toBeLessThan(60_000);
    expect(jitterMs("nightly", 1, 0)).toBe(0);
  });
});

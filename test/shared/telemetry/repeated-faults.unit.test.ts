import { describe, expect, it } from "vitest";
import { invalid, unavailable } from "../../../shared/errors.ts";
import { createLogger } from "../../../shared/telemetry/index.ts";
import { createRepeatedFaults } from "../../../shared/telemetry/repeated-faults.ts";

const full = unavailable("The disk is full.", {
  fault: "SQLITE_FULL",
  cause: new Error("database or disk is full"),
});

describe("lines about a fault of the machine", () => {
  it("are told once a minute, with how many were left out", () => {
    let nowMs = 0;
    const faults = createRepeatedFaults(() => nowMs);
    expect(faults.admit("request failed", full)).toEqual({ isTold: true, leftOut: 0 });
    for (let index = 0; index < 500; index++) expect(faults.admit("request failed", full).isTold).toBe(false);
    nowMs = 60_000;
    expect(faults.admit("request failed", full)).toEqual({ isTold: true, leftOut: 500 });
  });

  it("are told apart by their text and their fault", () => {
    const faults = createRepeatedFaults(() => 0);
    const away = unavailable("away", { fault: "ECONNREFUSED" });
    const told = [
      faults.admit("request failed", full),
      faults.admit("a timer failed", full),
      faults.admit("request failed", away),
    ];
    expect(told.map(({ isTold }) => isTold)).toEqual([true, true, true]);
  });

  it("leave every other error alone", () => {
    const faults = createRepeatedFaults(() => 0);
    for (const error of [invalid("no"), new Error("no"), undefined]) {
      for (let index = 0; index < 3; index++) expect(faults.admit("request failed", error).isTold).toBe(true);
    }
  });

  it("say the cause", () => {
    const lines: string[] = [];
    const logger = createLogger(
      { logLevel: "warn", codeVersion: "test" },
      { write: (line) => lines.push(line) },
    );
    for (let index = 0; index < 3; index++) logger.child({ a: 1 }).error({ err: full }, "request failed");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("database or disk is full");
  });
});

import { describe, expect, it } from "vitest";
import { severityChart } from "../../../../models/monitoring/results/chart.ts";
import type { MonitorResult } from "../../../../models/monitoring/schemas.ts";

const result = (column: string, severity: number | null, verdict: "ok" | "drift" | "no_data", day = 1) =>
  ({
    windowStartMs: Date.UTC(2026, 0, day),
    windowEndMs: Date.UTC(2026, 0, day + 1),
    drift: { verdict, reason: "because", columns: [{ column, severity, verdict }] },
  }) as unknown as MonitorResult;

describe("a chart of drift", () => {
  it("draws a line per column and a mark per window", () => {
    const svg = severityChart("late: drift", [result("delay", 0.5, "ok"), result("delay", 1.5, "drift", 2)]);
    expect(svg.match(/<path/g)).toHaveLength(1);
    expect(svg.match(/<circle/g)).toHaveLength(2);
    expect(svg).toContain("2026-01-02: drift. because");
  });

  it("holds nothing of a name as markup", () => {
    const svg = severityChart('</title><script>alert("1")</script>', [result("<b>\u0001&", 1, "ok")]);
    expect(svg).not.toContain("<script");
    expect(svg).toContain("&lt;b&gt;&amp;");
    expect(svg).not.toContain("\u0001");
  });

  it.each([
    ["without windows", []],
    ["of windows without a verdict", [result("delay", null, "no_data")]],
    ["of effects beyond all measure", [result("delay", Number.MAX_VALUE, "drift")]],
  ])("is well formed %s", (_, results) => {
    const svg = severityChart("late", results);
    expect(svg).toMatch(/^<svg [^>]*>[\s\S]*<\/svg>$/);
    expect(svg).not.toMatch(/NaN|Infinity|undefined|e\+/);
  });
});

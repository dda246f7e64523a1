import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { loadConfig } from "../../shared/config.ts";

const readme = readFileSync(path.join(path.dirname(path.dirname(import.meta.dirname)), "README.md"), "utf8");

/** The defaults of a row: one for each of its settings. */
function defaultsOf(setting: string): readonly string[] {
  const row = readme.split("\n").find((line) => line.startsWith("|") && line.includes(`\`${setting}\``));
  return (row?.split("|")[2] ?? "").split(",").map((text) => text.trim().replaceAll("`", ""));
}

it("tells the defaults of settings as they are", () => {
  const config = loadConfig({});
  const { retention, models, webhooks } = config;
  const days = (value: number | null) => String(value ?? 0);
  expect(defaultsOf("KETLINE_HOST")).toEqual([config.host, String(config.port)]);
  expect(path.resolve(defaultsOf("KETLINE_DATA")[0] ?? "")).toBe(path.resolve(config.dataDirectory));
  expect(defaultsOf("KETLINE_MODEL_MEMORY_MIB")).toEqual([
    String(models.memoryBytes / 1024 ** 2),
    String(models.hosts),
  ]);
  expect(defaultsOf("KETLINE_WEBHOOK_ALLOW_PRIVATE")).toEqual([String(webhooks.allowPrivate)]);
  expect(defaultsOf("KETLINE_PREDICTION_RETENTION_DAYS")).toEqual([
    days(retention.predictionDays),
    days(retention.jobDays),
  ]);
  expect(defaultsOf("KETLINE_WEBHOOK_RETENTION_DAYS")).toEqual([
    days(retention.webhookDays),
    days(retention.auditDays),
  ]);
  expect(defaultsOf("KETLINE_LOG_LEVEL")).toEqual([config.logLevel]);
  expect([config.database.kind, config.blobs.kind, config.queues.kind]).toEqual([
    defaultsOf("KETLINE_DATABASE")[0]?.split(":")[0],
    defaultsOf("KETLINE_BLOBS")[0]?.split(":")[0],
    defaultsOf("KETLINE_QUEUES")[0],
  ]);
  expect(config.quantumWorkspace.kind).toBe(defaultsOf("KETLINE_QUANTUM_WORKSPACE")[0]);
});

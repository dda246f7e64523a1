import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listen, type MlflowGround, mlflowGround } from "../support/mlflow.ts";
import { itTakes, readScenario, type Scenario } from "../support/scenario.ts";

const folder = fileURLToPath(new URL("./npm-mlflow", import.meta.url));

/** The steps of npm-mlflow/scenario.cjs. */
const steps = [
  "creates an experiment",
  "gets an experiment",
  "renames an experiment",
  "deletes and restores an experiment",
  "creates a run",
  "logs metrics",
  "logs a parameter",
  "logs a batch",
  "sets and deletes a tag",
  "gets a run",
  "reads the history of a metric, where MLflow's own server answers nothing",
  "searches runs",
  "ends a run",
  "lists artifacts",
  "deletes and restores a run",
  "gets MLflow's errors as such",
  "gets 404 for what MLflow has had no more since version 2, and for the address that the client misspells",
];

function isInstalled(): boolean {
  if (existsSync(`${folder}/node_modules/mlflow`)) return true;
  const remedy = "Run: npm ci --prefix test/clients/npm-mlflow";
  if (process.env.CI === "true") throw new Error(`npm's mlflow client is not there. ${remedy}`);
  console.warn(`Tests with npm's mlflow client are SKIPPED. ${remedy}`);
  return false;
}

describe.skipIf(!isInstalled())("npm's client of MLflow", () => {
  let ground: MlflowGround;
  let server: { url: string; close(): Promise<void> };
  let scenario: Scenario;

  beforeAll(async () => {
    ground = await mlflowGround({ KETLINE_LOG_LEVEL: "warn" });
    server = await listen(ground);
    const run = promisify(execFile)(process.execPath, [`${folder}/scenario.cjs`, server.url]);
    scenario = readScenario(await run);
  });
  afterAll(async () => {
    await server?.close();
    await ground?.close();
  });

  itTakes(steps, () => scenario);

  it("never meets a server error", () => {
    expect(ground.logged.filter((line) => line.msg === "request failed")).toEqual([]);
  });
});

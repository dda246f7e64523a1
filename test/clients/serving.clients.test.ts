import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRegistry, registryMigrations } from "../../models/registry/index.ts";
import { createServing, servingMigrations } from "../../models/serving/index.ts";
import { createTracking, trackingMigrations } from "../../models/tracking/index.ts";
import { type TestApplication, testGround } from "../support/application.ts";
import { listen } from "../support/mlflow.ts";
import { pythonPath, runPython } from "../support/python.ts";

const clients = [
  {
    client: "tritonclient, requests and MLflow's scoring client",
    python: pythonPath(),
    script: "serving_scenario.py",
    steps: [
      "registers models of four tools bare and as mlflow models",
      "tritonclient predicts in json",
      "tritonclient predicts in binary",
      "tritonclient predicts with packed bodies",
      "tritonclient reads metadata readiness repository and statistics",
      "tritonclient understands errors",
      "requests predicts from tables and tensors",
      "requests sends missing values as python writes them",
      "mlflow scoring client predicts",
      "requests moves traffic and rolls back",
    ],
  },
];

interface StepResult {
  readonly step: string;
  readonly ok: boolean;
  readonly error?: string;
}

describe.each(clients)("$client", ({ python, script, steps }) => {
  if (python === undefined) return it.skip("is not installed", () => undefined);
  let ground: TestApplication;
  let server: { url: string; close(): Promise<void> };
  let results: Map<string, StepResult>;
  let output = "";

  beforeAll(async () => {
    ground = await testGround({
      env: { KETLINE_LOG_LEVEL: "warn" },
      migrations: [...trackingMigrations, ...registryMigrations, ...servingMigrations],
      capabilities: (base) => {
        const tracking = createTracking(base);
        const registry = createRegistry({ ...base, tracking });
        const clock = () => Date.now();
        const serving = createServing({ ...base, clock, models: registry, dataDirectory: base.directory });
        return [tracking, registry, serving];
      },
    });
    server = await listen(ground);
    const run = await runPython(python, script, [server.url, ground.directory]);
    output = `${run.stdout}\n${run.stderr}`;
    const lines = run.stdout.split("\n").filter((line) => line.startsWith('{"step"'));
    results = new Map(
      lines.map((line) => JSON.parse(line) as StepResult).map((result) => [result.step, result]),
    );
  }, 280_000);

  afterAll(async () => {
    await server?.close();
    await ground?.close();
  });

  it.each(steps)("%s", (step) => {
    const result = results.get(step);
    expect(result, output.slice(-4000)).toBeDefined();
    expect(result?.ok, result?.error).toBe(true);
  });

  it("has no step that this list forgets", () => {
    expect([...results.keys()]).toEqual(steps);
  });

  it("never meets a server error", () => {
    expect(ground.logged.filter((line) => line.msg === "request failed")).toEqual([]);
  });
});

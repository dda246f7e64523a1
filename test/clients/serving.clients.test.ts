import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRegistry, registryMigrations } from "../../models/registry/index.ts";
import { createServing, servingMigrations } from "../../models/serving/index.ts";
import { createTracking, trackingMigrations } from "../../models/tracking/index.ts";
import { servingGround } from "../models/serving/ground.ts";
import { identityModel, linearModel } from "../models/serving/models.ts";
import { type TestApplication, testGround } from "../support/application.ts";
import { listen } from "../support/mlflow.ts";
import { kservePythonPath, pythonPath, runPython } from "../support/python.ts";
import { itTakes, readScenario, type Scenario } from "../support/scenario.ts";

const clients = [
  {
    client: "tritonclient, requests and MLflow's scoring client",
    python: pythonPath(),
    script: "serving_scenario.py",
    openGround: groundWithRegistry,
    prepare: undefined,
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
  {
    client: "KServe's InferenceRESTClient",
    python: kservePythonPath(),
    script: "serving_kserve_scenario.py",
    openGround: groundWithTwoModels,
    prepare: undefined,
    steps: [
      "kserve predicts in json",
      "kserve predicts in binary",
      "kserve sends text",
      "kserve sends a dict",
      "kserve probes",
      "kserve shows what was wrong",
    ],
  },
  {
    client: "KServe's InferenceRESTClient with models of four tools",
    python: pythonPath() === undefined ? undefined : kservePythonPath(),
    script: "serving_kserve_models_scenario.py",
    openGround: groundWithRegistry,
    prepare: { python: pythonPath(), script: "serving_models.py" },
    steps: [
      "logistic",
      "logistic-names",
      "forest",
      "forest-regressor",
      "boosting",
      "linear",
      "vectors",
      "clusters",
      "perceptron",
      "table",
      "xgboost",
      "xgboost-regressor",
      "lightgbm",
      "lightgbm-regressor",
      "network",
    ].map((model) => `kserve asks ${model} in json and in binary`),
  },
];

/** The real registry, which the scenario fills through MLflow's client. */
function groundWithRegistry(): Promise<TestApplication> {
  return testGround({
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
}

async function groundWithTwoModels(): Promise<TestApplication> {
  const ground = await servingGround();
  await ground.models.register("linear", { "model.onnx": linearModel([1, 10, 100], 0.5) });
  await ground.models.register("echo", { "model.onnx": identityModel("string") });
  return ground;
}

describe.each(clients)("$client", ({ python, script, openGround, prepare, steps }) => {
  if (python === undefined) return it.skip("is not installed", () => undefined);
  let ground: TestApplication;
  let server: { url: string; close(): Promise<void> };
  let scenario: Scenario;

  beforeAll(async () => {
    ground = await openGround();
    server = await listen(ground);
    if (prepare?.python !== undefined) {
      const prepared = await runPython(prepare.python, prepare.script, [server.url, ground.directory]);
      expect(prepared.exitCode, prepared.stderr.slice(-4000)).toBe(0);
    }
    const run = await runPython(python, script, [server.url, ground.directory]);
    scenario = readScenario(run);
  }, 280_000);

  afterAll(async () => {
    await server?.close();
    await ground?.close();
  });

  itTakes(steps, () => scenario);

  it("never meets a server error", () => {
    expect(ground.logged.filter((line) => line.msg === "request failed")).toEqual([]);
  });
});

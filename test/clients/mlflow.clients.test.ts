import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listen, type MlflowGround, mlflowGround } from "../support/mlflow.ts";
import { mlflow2PythonPath, pythonPath, runPython } from "../support/python.ts";
import { itTakes, readScenario, type Scenario } from "../support/scenario.ts";

const clients = [
  { version: 3, python: pythonPath() },
  { version: 2, python: mlflow2PythonPath() },
];

/** The steps of mlflow_scenario.py. */
const allSteps = [
  "sets an experiment and finds it again",
  "logs a run with params metrics and tags",
  "keeps nan and infinities",
  "refuses to change a param",
  "resumes and nests runs",
  "logs inputs",
  "searches runs as a data frame",
  "pages through many runs",
  "deletes and restores",
  "stores and fetches artifacts",
  "logs registers and loads a sklearn model",
  "finds the model that was logged",
  "autologs sklearn",
  "logs an onnx model and loads it by alias",
  "moves versions through stages",
  "tags describes copies and searches the registry",
  "registers a model from a run",
  "logs metrics onto a logged model",
  "makes finds changes and deletes webhooks",
  "webhooks are told what happens and signed",
  "eight processes log at once",
];

/** What MLflow 2 does not know. */
const sinceVersion3 = [
  "finds the model that was logged",
  "logs metrics onto a logged model",
  "makes finds changes and deletes webhooks",
  "webhooks are told what happens and signed",
];

describe.each(clients)("the stock Python client of MLflow $version", ({ version, python }) => {
  if (python === undefined) return it.skip("is not installed", () => undefined);
  const steps = allSteps.filter((step) => version >= 3 || !sinceVersion3.includes(step));
  let ground: MlflowGround;
  let server: { url: string; close(): Promise<void> };
  let scenario: Scenario;

  beforeAll(async () => {
    ground = await mlflowGround({ KETLINE_LOG_LEVEL: "warn", KETLINE_WEBHOOK_ALLOW_PRIVATE: "true" });
    server = await listen(ground);
    const run = await runPython(python, "mlflow_scenario.py", [server.url], {
      MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0",
    });
    scenario = readScenario(run);
  }, 900_000);

  afterAll(async () => {
    await server?.close();
    await ground?.close();
  });

  itTakes(steps, () => scenario);

  it("never meets a server error", () => {
    const failures = ground.logged.filter((line) => line.msg === "request failed");
    expect(failures).toEqual([]);
  });
});

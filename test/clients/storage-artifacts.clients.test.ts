import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Azurite, startAzurite } from "../support/azurite.ts";
import { listen, type MlflowGround, mlflowGround } from "../support/mlflow.ts";
import { mlflow2PythonPath, pythonPath, runPython } from "../support/python.ts";
import { itTakes, readScenario, type Scenario } from "../support/scenario.ts";

/** The steps of storage_artifacts_scenario.py. */
const steps = ["uploads a large file and gets the same bytes back", "uploads a small file in one piece"];

const sizes = {
  MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE: String(20 * 1024 ** 2),
  MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE: String(6 * 1024 ** 2),
  MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE: String(7 * 1024 ** 2),
};
const asked = {
  MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD: "true",
  MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD: "true",
};
/** 60 MiB and 7 bytes in parts of 6 and ranges of 7 MiB; the small file is fetched by a link as well. */
const byLinks = {
  "mpu/create": 1,
  part: 11,
  "mpu/complete": 1,
  presigned: 2,
  "signed download": 10,
  stream: 1,
};
const uploadByLinks = { "mpu/create": 1, part: 11, "mpu/complete": 1, stream: 3 };
const streamed = { stream: 4 };

const python3 = pythonPath();
const python2 = mlflow2PythonPath();

const cases = [
  { client: 3, python: python3, store: "file", env: asked, expected: byLinks },
  { client: 3, python: python3, store: "file", env: {}, expected: streamed },
  { client: 3, python: python3, store: "azure", env: asked, expected: byLinks },
  // Newer clients do by themselves what the server announces.
  { client: 3, python: python3, store: "azure", env: {}, expected: byLinks },
  { client: 2, python: python2, store: "file", env: asked, expected: uploadByLinks },
  { client: 2, python: python2, store: "azure", env: {}, expected: streamed },
];

let azurite: Azurite | undefined;
beforeAll(async () => {
  azurite = await startAzurite();
}, 60_000);
afterAll(() => azurite?.[Symbol.asyncDispose]());

describe.each(cases)("MLflow $client over the $store store with $env", ({ python, store, env, expected }) => {
  if (python === undefined) return it.skip("is not installed", () => undefined);
  const seed = Math.floor(Math.random() * 2 ** 31);
  let ground: MlflowGround;
  let server: { url: string; close(): Promise<void> };
  let requests: unknown;
  let scenario: Scenario;

  beforeAll(async () => {
    ground = await mlflowGround({
      KETLINE_LOG_LEVEL: "warn",
      ...(store === "file"
        ? {}
        : {
            KETLINE_BLOBS: `azure:${azurite?.blobUrl}/test-${randomUUID()}`,
            KETLINE_STORAGE_CONNECTION_STRING: azurite?.connectionString ?? "",
          }),
    });
    ground.clock.set(Date.now());
    server = await listen(ground);
    const run = await runPython(python, "storage_artifacts_scenario.py", [server.url, String(seed)], {
      ...sizes,
      ...env,
      MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0",
    });
    scenario = readScenario({ ...run, stderr: `seed ${seed}\n${run.stderr}` });
    const counted = run.stdout.split("\n").find((line) => line.startsWith('{"requests"'));
    requests = counted === undefined ? {} : JSON.parse(counted).requests;
  }, 280_000);

  afterAll(async () => {
    await server?.close();
    await ground?.close();
  });

  itTakes(steps, () => scenario);

  it("takes the way that was asked for or announced", () => {
    const { other, ...seen } = requests as Record<string, number>;
    expect(seen, scenario.output).toEqual(expected);
  });
});

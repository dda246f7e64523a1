import { afterAll, beforeAll, describe } from "vitest";
import { createBlobEndpoint, createBlobLinks } from "../../shared/blobs/index.ts";
import { type TestApplication, testGround } from "../support/application.ts";
import { listen } from "../support/mlflow.ts";
import { pythonPath, runPython } from "../support/python.ts";
import { itTakes, readScenario, type Scenario } from "../support/scenario.ts";

const python = pythonPath();

/** The steps of storage_scenario.py. */
const steps = [
  "sees the container",
  "uploads a blob once and reads its properties",
  "uploads and downloads in parts at once",
  "uploads and downloads nothing",
  "lists in pages and by folder",
  "stages blocks and commits them in another order",
  "uses a link to one blob for what it allows",
  "hears what is not served",
];

describe.skipIf(python === undefined)("Azure's stock storage client for Python", () => {
  let ground: TestApplication;
  let server: { url: string; close(): Promise<void> };
  let scenario: Scenario;

  beforeAll(async () => {
    const links = createBlobLinks({ signingKey: "k".repeat(32), clock: Date.now });
    ground = await testGround({
      capabilities: ({ blobs }) => [
        createBlobEndpoint({ store: blobs, links, clock: Date.now, maxUploadBytes: 2 ** 30 }),
      ],
    });
    server = await listen(ground);
    const access = { expiresInMs: 600_000, baseUrl: server.url };
    const run = await runPython(python!, "storage_scenario.py", [
      links.containerUrl("quantum/job-1", { ...access, permissions: ["r", "a", "c", "w", "l", "d"] }),
      links.blobUrl("shared/one", { ...access, method: "PUT" }),
      links.blobUrl("shared/one", { ...access, method: "GET" }),
    ]);
    scenario = readScenario(run);
  }, 280_000);

  afterAll(async () => {
    await server?.close();
    await ground?.close();
  });

  itTakes(steps, () => scenario);
});

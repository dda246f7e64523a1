import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createBlobEndpoint, createBlobLinks } from "../../shared/blobs/index.ts";
import { type TestApplication, testGround } from "../support/application.ts";
import { listen } from "../support/mlflow.ts";
import { pythonPath, runPython } from "../support/python.ts";

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

interface StepResult {
  readonly step: string;
  readonly ok: boolean;
  readonly error?: string;
}

describe.skipIf(python === undefined)("Azure's stock storage client for Python", () => {
  let ground: TestApplication;
  let server: { url: string; close(): Promise<void> };
  let results = new Map<string, StepResult>();
  let output = "";

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
    expect(result, output).toBeDefined();
    expect(result?.ok, result?.error).toBe(true);
  });

  it("does nothing that is not checked here", () => {
    expect([...results.keys()]).toEqual(steps);
  });
});

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listen } from "../support/mlflow.ts";
import { pythonPath, runPython } from "../support/python.ts";
import { type QuantumGround, quantumGround } from "../support/quantum.ts";
import { testAdminToken } from "../support/tokens.ts";

const python = pythonPath();

/** The steps of quantum_scenario.py. */
const steps = [
  "finds the targets",
  "runs openqasm",
  "reads counts and single shots",
  "reads the first version of results",
  "runs what qdk compiles",
  "runs what qdk compiles for the adaptive profile",
  "compresses its input",
  "hears why a job failed",
  "is refused what is not there",
  "cancels a job",
  "groups jobs in a session",
  "lists by name status target and time",
  "renames and tags a job",
  "keeps attachments",
  "deletes a job",
  "reads quotas and costs",
  "is refused without a good key",
];

interface StepResult {
  readonly step: string;
  readonly ok: boolean;
  readonly error?: string;
}

describe.skipIf(python === undefined)("Azure Quantum's stock client for Python", () => {
  let ground: QuantumGround;
  let server: { url: string; close(): Promise<void> };
  let results = new Map<string, StepResult>();
  let output = "";

  beforeAll(async () => {
    // The client sends its key in a header of its own, so the server must ask for one.
    ground = await quantumGround({ env: { KETLINE_ADMIN_TOKEN: testAdminToken } });
    ground.clock.set(Date.now()); // the client looks at the expiry of links
    server = await listen(ground);
    ground.runner.start();
    const run = await runPython(python!, "quantum_scenario.py", [server.url, testAdminToken]);
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

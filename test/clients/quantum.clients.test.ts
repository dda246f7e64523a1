import { afterAll, beforeAll, describe } from "vitest";
import { listen } from "../support/mlflow.ts";
import { pythonPath, runPython } from "../support/python.ts";
import { type QuantumGround, quantumGround } from "../support/quantum.ts";
import { itTakes, readScenario, type Scenario } from "../support/scenario.ts";
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

describe.skipIf(python === undefined)("Azure Quantum's stock client for Python", () => {
  let ground: QuantumGround;
  let server: { url: string; close(): Promise<void> };
  let scenario: Scenario;

  beforeAll(async () => {
    // The client sends its key in a header of its own, so the server must ask for one.
    ground = await quantumGround({ env: { KETLINE_ADMIN_TOKEN: testAdminToken } });
    ground.clock.set(Date.now()); // the client looks at the expiry of links
    server = await listen(ground);
    ground.runner.start();
    const run = await runPython(python!, "quantum_scenario.py", [server.url, testAdminToken]);
    scenario = readScenario(run);
  }, 280_000);

  afterAll(async () => {
    await server?.close();
    await ground?.close();
  });

  itTakes(steps, () => scenario);
});

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerProcess, startServerProcess } from "../durability/server-process.ts";
import { itTakes, readScenario, type Scenario } from "../support/scenario.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const folder = path.join(import.meta.dirname, "npm-openapi");
const generated = path.join(folder, "generated");

/** The steps of npm-openapi/scenario.ts. */
const steps = [
  "describes a data set",
  "registers a version of it",
  "follows the job to its end",
  "reads the profile by its kind",
  "pages through a list",
  "hears what was wrong",
  "creates an experiment of MLflow's API",
  "starts a run and logs to it",
  "searches runs",
  "asks what models there are",
  "checks a quantum program",
  "makes a schedule and reads it again",
];

function isInstalled(): boolean {
  if (existsSync(path.join(folder, "node_modules/openapi-typescript"))) return true;
  const remedy = "Run: npm ci --ignore-scripts --prefix test/clients/npm-openapi";
  if (process.env.CI === "true") throw new Error(`The generator of clients is not there. ${remedy}`);
  console.warn(`Tests with a generated client are SKIPPED. ${remedy}`);
  return false;
}

const run = async (...args: string[]) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: folder }).catch(
    (error: { stdout?: string; stderr?: string }) => {
      throw new Error(`${args[0]}: ${error.stdout}\n${error.stderr}`);
    },
  );
  return { stdout, stderr };
};

describe.skipIf(!isInstalled())("a TypeScript client that is generated from /openapi.json", () => {
  let directory: { path: string; remove(): Promise<void> };
  let server: ServerProcess;
  let scenario: Scenario;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    server = await startServerProcess(directory.path);
    await rm(generated, { recursive: true, force: true });
    await mkdir(generated);
    const description = await (await fetch(`${server.url}/openapi.json`)).text();
    await writeFile(path.join(generated, "openapi.json"), description);
  });
  afterAll(async () => {
    await server?.stop();
    await directory?.remove();
    await rm(generated, { recursive: true, force: true });
  });

  it("is generated, and compiles with what a program does with it", async () => {
    // Members with a default may be left out of a request, which the generator does not assume by itself.
    await run(
      "node_modules/openapi-typescript/bin/cli.js",
      "generated/openapi.json",
      "--output=generated/ketline.ts",
      "--default-non-nullable=false",
    );
    await run("node_modules/typescript/bin/tsc", "-p", ".");
    scenario = readScenario(await run("generated/built/scenario.js", server.url));
    expect(scenario.output).not.toBe("");
  });

  itTakes(steps, () => scenario);
});

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/**
 * The Python whose virtual environment holds the clients of `test/clients/requirements.txt`: KETLINE_TEST_PYTHON, or
 * `.venv/bin/python` of the checkout. Without it those tests are left out, aloud; in CI that is a failure.
 */
export function pythonPath(): string | undefined {
  return environment("KETLINE_TEST_PYTHON", ".venv", "requirements.txt", true);
}

/** The same for MLflow 2, in an environment of its own: KETLINE_TEST_PYTHON_MLFLOW2, or `.venv-mlflow2/bin/python`. */
export function mlflow2PythonPath(): string | undefined {
  return environment("KETLINE_TEST_PYTHON_MLFLOW2", ".venv-mlflow2", "requirements-mlflow2.txt", false);
}

/** The same for KServe's client: KETLINE_TEST_PYTHON_KSERVE, or `.venv-kserve/bin/python`. */
export function kservePythonPath(): string | undefined {
  return environment("KETLINE_TEST_PYTHON_KSERVE", ".venv-kserve", "requirements-kserve.txt", false);
}

function environment(
  variable: string,
  directory: string,
  requirements: string,
  isNeededInCi: boolean,
): string | undefined {
  const named = process.env[variable];
  const python = named === undefined || named === "" ? path.join(root, directory, "bin/python") : named;
  if (existsSync(python)) return python;
  const remedy = `Run: python3 -m venv ${directory} && ${directory}/bin/pip install -r test/clients/${requirements} (or set ${variable}).`;
  if (isNeededInCi && process.env.CI === "true") {
    throw new Error(`No ${python}: client tests must not be skipped in CI. ${remedy}`);
  }
  console.warn(`Tests with Python clients are SKIPPED: there is no ${python}. ${remedy}`);
  return undefined;
}

export interface PythonRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script of `test/clients` to its end. */
export function runPython(
  python: string,
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<PythonRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(python, [path.join(root, "test/clients", script), ...args], {
      env: { ...process.env, PYTHONUNBUFFERED: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => {
      output.stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output.stderr += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (exitCode) => resolve({ exitCode, ...output }));
  });
}

import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { FunctionMetadata } from "./functions-core.ts";

const root = path.dirname(path.dirname(import.meta.dirname));
const node = ["--disable-warning=ExperimentalWarning", "--import", path.join(root, "tools", "stripped.mjs")];

export const adminToken = "an-admin-token-for-the-tests";

/** A deployable package, built into a place where it cannot reach the modules of this repository. */
export async function buildPackage(): Promise<{
  directory: string;
  output: string;
  remove(): Promise<void>;
}> {
  const out = await mkdtemp(path.join(tmpdir(), "ketline-build-"));
  const build = spawn(process.execPath, [...node, path.join(root, "tools", "build.ts"), "--out", out]);
  let output = "";
  build.stdout.on("data", (text: Buffer) => (output += text));
  build.stderr.on("data", (text: Buffer) => (output += text));
  const [code] = await once(build, "close");
  if (code !== 0) throw new Error(`The build failed:\n${output}`);
  return {
    directory: path.join(out, "package"),
    output,
    remove: () => rm(out, { recursive: true, force: true }),
  };
}

export interface FunctionsApp {
  readonly url: string;
  readonly functions: readonly FunctionMetadata[];
  /** Sends a request with the token of the administrator. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Runs a function that no request triggers, as the host's admin API does. */
  run(name: string, input?: string): Promise<Response>;
  close(): Promise<void>;
}

/** One instance of the app in a process of its own, over an empty data directory of its own. */
export async function startFunctionsApp(
  packageDirectory: string,
  mode: "buffered" | "streaming",
): Promise<FunctionsApp> {
  const data = await mkdtemp(path.join(tmpdir(), "ketline-functions-"));
  const child = fork(path.join(import.meta.dirname, "functions.child.ts"), [packageDirectory, mode], {
    execArgv: node,
    cwd: data,
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: {
      PATH: process.env.PATH,
      KETLINE_DATA: data,
      KETLINE_ADMIN_TOKEN: adminToken,
      KETLINE_LOG_LEVEL: "warn",
    },
  });
  const { url, functions } = await ready(child);
  return {
    url,
    functions,
    fetch: (path, init = {}) =>
      fetch(`${url}${path}`, {
        ...init,
        headers: { authorization: `Bearer ${adminToken}`, ...init.headers },
      }),
    run: (name, input = "") => fetch(`${url}/admin/functions/${name}`, { method: "POST", body: input }),
    async close() {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      await rm(data, { recursive: true, force: true });
    },
  };
}

function ready(child: ChildProcess): Promise<{ url: string; functions: readonly FunctionMetadata[] }> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr?.on("data", (text: Buffer) => (said += text));
    child.once("message", (message) => resolve(message as { url: string; functions: FunctionMetadata[] }));
    child.once("exit", (code) => reject(new Error(`The functions process ended with ${code}:\n${said}`)));
  });
}

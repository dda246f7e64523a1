import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "./temporary-directory.ts";

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** A stock `mlflow server` with its artifact proxy. */
export interface StockServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface StockStore {
  readonly databaseUri: string;
  readonly artifacts: string;
  remove(): Promise<void>;
}

/**
 * @param existing a directory that is kept; a temporary one when empty
 * @param metadata MLflow 2 keeps its own in files where its environment has a newer SQLAlchemy than it knows
 */
export async function stockStore(
  existing = "",
  metadata: "sqlite" | "files" = "sqlite",
): Promise<StockStore> {
  const directory =
    existing === "" ? await temporaryDirectory() : { path: path.resolve(existing), remove: async () => {} };
  return {
    databaseUri:
      metadata === "files"
        ? path.join(directory.path, "mlruns")
        : `sqlite:///${path.join(directory.path, "mlflow.db")}`,
    artifacts: path.join(directory.path, "artifacts"),
    remove: directory.remove,
  };
}

/** Waits until it answers. @param python whose environment has MLflow */
export async function startStockServer(
  python: string,
  store: StockStore,
  limitMs = 120_000,
): Promise<StockServer> {
  const port = await freePort();
  const args = [
    ...["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"],
    ...[
      "--backend-store-uri",
      store.databaseUri,
      "--artifacts-destination",
      store.artifacts,
      "--serve-artifacts",
    ],
  ];
  const child = spawn(python, args, {
    // Its workers are ended with it, as one group.
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: "true", GIT_PYTHON_REFRESH: "quiet" },
  });
  let said = "";
  child.stderr.on("data", (text: Buffer) => {
    said = (said + text).slice(-4000);
  });
  const close = async () => {
    if (child.exitCode !== null || child.pid === undefined) return;
    const exited = once(child, "exit");
    process.kill(-child.pid, "SIGKILL");
    await exited;
  };
  const url = `http://127.0.0.1:${port}`;
  const until = performance.now() + limitMs;
  while (performance.now() < until && child.exitCode === null) {
    const health = await fetch(`${url}/health`).catch(() => undefined);
    if (health?.ok) return { url, close };
    await sleep(200);
  }
  await close();
  throw new Error(`The stock server did not answer within ${limitMs} ms: ${said}`);
}

/** Fills a store through MLflow's own store API. @returns what the script said */
export async function fillStockStore(python: string, store: StockStore, runs: number): Promise<string> {
  const script = path.join(root, "test/durability/fill_mlflow.py");
  const child = spawn(python, [script, store.databaseUri, store.artifacts, String(runs)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text: Buffer) => {
    stdout += text;
  });
  child.stderr.on("data", (text: Buffer) => {
    stderr = (stderr + text).slice(-4000);
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`fill_mlflow.py ended with ${code}: ${stderr}`);
  return stdout.trim();
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("No port was given.");
  return address.port;
}

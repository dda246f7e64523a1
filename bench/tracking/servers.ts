import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";

/** A tracking server under test, in a process of its own. */
export interface Server {
  readonly name: string;
  readonly url: string;
  /** As SQLAlchemy writes it; only for the stock server, whose runs are filled in past its API. */
  readonly database: string | undefined;
  /** Resident memory of the process and all below it, in MiB, now. */
  residentMiB(): number;
  /** Of the same processes, in seconds since they started. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

const root = path.dirname(path.dirname(import.meta.dirname));
const limitMs = 180_000;

/** `mlflow server`, one worker of uvicorn, artifacts through the server. */
export async function startStock(python: string, directory: string, postgres?: string): Promise<Server> {
  const port = await freePort();
  const database =
    postgres?.replace(/^postgres(ql)?:/, "postgresql+psycopg2:") ?? `sqlite:///${directory}/mlflow.db`;
  await mkdir(`${directory}/artifacts`, { recursive: true });
  const args = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"];
  args.push("--backend-store-uri", database, "--artifacts-destination", `${directory}/artifacts`);
  return start("stock", python, args, port, directory, database, {
    MLFLOW_DISABLE_TELEMETRY: "true",
    DO_NOT_TRACK: "true",
  });
}

export async function startKetline(directory: string, postgres?: string): Promise<Server> {
  const port = await freePort();
  return start("ketline", process.execPath, [path.join(root, "server/main.ts")], port, root, undefined, {
    KETLINE_DATA: directory,
    KETLINE_LOG_LEVEL: "warn",
    PORT: String(port),
    ...(postgres === undefined ? {} : { KETLINE_DATABASE: postgres }),
  });
}

async function start(
  name: string,
  command: string,
  args: readonly string[],
  port: number,
  cwd: string,
  database: string | undefined,
  env: Readonly<Record<string, string>>,
): Promise<Server> {
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const url = `http://127.0.0.1:${port}`;
  await untilHealthy(`${url}/health`, child, () => output);
  return {
    name,
    url,
    database,
    residentMiB: () => family(child.pid ?? 0).reduce((sum, pid) => sum + statusKiB(pid, "VmRSS"), 0) / 1024,
    cpuSeconds: () => family(child.pid ?? 0).reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    async stop() {
      if (child.exitCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill();
      const killer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(killer);
    },
  };
}

async function untilHealthy(url: string, child: ChildProcess, output: () => string): Promise<void> {
  const end = performance.now() + limitMs;
  while (performance.now() < end) {
    if (child.exitCode !== null) throw new Error(`The server ended: ${output()}`);
    try {
      if ((await fetch(url, { signal: AbortSignal.timeout(2000) })).ok) return;
    } catch {
      // Not there yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`No answer of ${url} within ${limitMs / 1000} s: ${output()}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("There is no free port.");
  return address.port;
}

/** A process and all that it started. */
function family(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const fields = statFields(Number(entry));
    if (fields !== undefined) parents.set(Number(entry), Number(fields[1]));
  }
  const found = [pid];
  for (let i = 0; i < found.length; i++) {
    for (const [child, parent] of parents) if (parent === found[i]) found.push(child);
  }
  return found;
}

/** The fields after the name in parentheses, from the third on (proc(5)). */
function statFields(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** A tick is 10 ms. */
function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / 100;
}

function statusKiB(pid: number, field: string): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** @returns the version of the stock server */
export function stockVersion(python: string): string {
  return execFileSync(python, ["-c", "import mlflow; print(mlflow.__version__)"]).toString().trim();
}

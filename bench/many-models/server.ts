import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { createHttpClient } from "./http-client.ts";

export interface ServerSettings {
  readonly data: string;
  readonly port: number;
  readonly heapMiB: number;
  readonly modelMemoryMiB: number;
  readonly hosts: number;
}

export interface Server {
  readonly startedMs: number;
  readonly pid: number;
  /** Of the server and of all processes below it. */
  memory(): Memory;
  /** Why it is no more, when it ended by itself. */
  readonly ended: string | undefined;
  stop(): Promise<void>;
}

export interface Memory {
  /** Resident, pages shared with other processes included. */
  readonly serverMiB: number;
  readonly hostsMiB: number;
  /**
   * As the limit of a container counts: what each process has of its own, and the pages of programs and libraries once.
   * Those are taken to be the ones that the process with most of them has: the hosts run what the server runs.
   */
  readonly totalMiB: number;
}

const root = path.dirname(path.dirname(import.meta.dirname));

/** The server as `npm start` runs it, without the launcher, and with a limit for its JavaScript. */
export function startServer({ data, port, heapMiB, modelMemoryMiB, hosts }: ServerSettings): Server {
  const startedMs = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      `--max-old-space-size=${heapMiB}`,
      "--max-semi-space-size=2",
      path.join(root, "server", "main.ts"),
    ],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: process.env.PATH,
        PORT: String(port),
        KETLINE_DATA: data,
        KETLINE_LOG_LEVEL: "warn",
        KETLINE_MODEL_MEMORY_MIB: String(modelMemoryMiB),
        KETLINE_MODEL_HOSTS: String(hosts),
      },
    },
  );
  const { pid } = child;
  if (pid === undefined) throw new Error("The server does not start.");
  let stopping = false;
  let why: string | undefined;
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  child.once("exit", (code, signal) => {
    if (!stopping) why = `The server ended by itself (${signal ?? `exit code ${code}`}): ${said}`;
  });
  return {
    startedMs,
    pid,
    get ended() {
      return why;
    },
    memory() {
      const [server = nothing, ...hosts] = family(pid).map(residentOf);
      const all = [server, ...hosts];
      return {
        serverMiB: server.ownMiB + server.filesMiB,
        hostsMiB: hosts.reduce((sum, { ownMiB, filesMiB }) => sum + ownMiB + filesMiB, 0),
        totalMiB:
          all.reduce((sum, { ownMiB }) => sum + ownMiB, 0) + Math.max(...all.map((one) => one.filesMiB)),
      };
    },
    async stop() {
      stopping = true;
      await ending(child);
    },
  };
}

async function ending(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

/** Asks until there is an answer. */
export async function untilReady(server: Server, port: number): Promise<void> {
  const client = createHttpClient(port, 1);
  for (;;) {
    const reply = await client.send("GET", "/health").catch(() => undefined);
    if (reply?.status === 200) break;
    if (server.ended !== undefined) throw new Error(server.ended);
    if (performance.now() - server.startedMs > 60_000) throw new Error("The server does not answer.");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  client.close();
}

/** A process and those that it started (Linux). */
function family(pid: number): readonly number[] {
  const children = textOf(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
  return [pid, ...children.flatMap(family)];
}

const nothing = { ownMiB: 0, filesMiB: 0 };

function residentOf(pid: number): typeof nothing {
  const status = textOf(`/proc/${pid}/status`);
  const sizeOf = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) / 1024;
  return { ownMiB: sizeOf("RssAnon"), filesMiB: sizeOf("RssFile") };
}

/** A process may end between two looks. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      if (typeof address !== "object" || address === null) return reject(new Error("There is no port."));
      probe.close(() => resolve(address.port));
    });
  });
}

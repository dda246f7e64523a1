import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { family } from "../serving/children.ts";

// npm run bench -- start [--runs 9]
// From `npm start` to the first answer of /health, and whose share of that is whose; then the memory of an idle server.
// The kinds of start take turns, so that a busy moment of the machine does not fall on one of them alone; processor time,
// of all processes of a start, says more than the clock when the machine is busy.

const root = path.dirname(path.dirname(import.meta.dirname));
const { values } = parseArgs({ options: { runs: { type: "string", default: "9" } } });
const runs = Number(values.runs);
const idleMs = 5000;
const limitMs = 60_000;

const guard = path.join(root, "tools", "node22.mjs");
const server = path.join(root, "server", "main.ts");
const bare = path.join(import.meta.dirname, "bare.mjs");
/** Who starts `npm start` on a machine of the usual kind: the Node.js on the path, not this one. */
const systemPath = (process.env.PATH ?? "")
  .split(path.delimiter)
  .filter((directory) => !directory.includes("node_modules"))
  .join(path.delimiter);
const systemNode = execFileSync("sh", ["-c", "command -v node"], {
  env: { ...process.env, PATH: systemPath },
})
  .toString()
  .trim();

const starts: Readonly<Record<string, readonly [command: string, ...args: string[]]>> = {
  "npm start": ["npm", "start"],
  "guard and bare node:http": [systemNode, guard, path.relative(root, bare)],
  "server/main.ts alone": [process.execPath, ...process.execArgv, server],
  "bare node:http": [process.execPath, bare],
};

const data = await mkdtemp(path.join(tmpdir(), "ketline-bench-"));
try {
  const times = new Map<string, Start[]>(Object.keys(starts).map((name) => [name, []]));
  for (let run = -1; run < runs; run++) {
    for (const [name, command] of Object.entries(starts)) {
      const { start } = await firstAnswer(command, async () => {});
      if (run >= 0) times.get(name)?.push(start); // the first run fills the caches and creates the database
    }
  }
  const { result: rssMiB } = await firstAnswer(starts["server/main.ts alone"] ?? fail(), async (child) => {
    await new Promise((resolve) => setTimeout(resolve, idleMs));
    return residentMiB(child.pid ?? fail());
  });
  report(times, rssMiB);
} finally {
  await rm(data, { recursive: true, force: true });
}

interface Start {
  readonly ms: number;
  /** Of the command and all that it started; NaN where there is no /proc. */
  readonly processorMs: number;
}

/** Starts a server, waits for its first answer, lets `then` look at it, and stops it. */
async function firstAnswer<Result>(
  [command, ...args]: readonly [string, ...string[]],
  then: (child: ChildProcess) => Promise<Result>,
): Promise<{ start: Start; result: Result }> {
  const port = await freePort();
  const startedMs = performance.now();
  const child = spawn(command, args, {
    cwd: root,
    detached: true,
    stdio: "ignore",
    env: {
      ...process.env,
      PATH: systemPath,
      PORT: String(port),
      KETLINE_DATA: data,
      KETLINE_LOG_LEVEL: "warn",
    },
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    while (!(await answers(port))) {
      if (child.exitCode !== null)
        throw new Error(`${command} ${args.join(" ")} ended with ${child.exitCode}.`);
      if (performance.now() - startedMs > limitMs)
        throw new Error(`${command} ${args.join(" ")} does not answer.`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const ms = performance.now() - startedMs;
    return { start: { ms, processorMs: processorMs(child.pid ?? fail()) }, result: await then(child) };
  } finally {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGTERM");
    await ended;
    while (await answers(port)) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get({ port, host: "127.0.0.1", path: "/health", agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
    });
    request.on("error", () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : fail();
      probe.close(() => resolve(port));
    });
  });
}

function processorMs(pid: number): number {
  if (process.platform !== "linux") return Number.NaN;
  const ticks = family(pid).map((member) => {
    const stat = readFileSync(`/proc/${member}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[11]) + Number(fields[12]); // utime and stime, proc(5)
  });
  return 10 * ticks.reduce((sum, one) => sum + one, 0);
}

function residentMiB(pid: number): number {
  if (process.platform === "linux") {
    const kiB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kiB) / 1024;
  }
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)]).toString()) / 1024;
}

function report(times: ReadonlyMap<string, readonly Start[]>, rssMiB: number): void {
  const median = (name: string) => summary((times.get(name) ?? []).map(({ ms }) => ms)).median;
  const line = (name: string, cells: readonly (number | string)[]) =>
    console.log(
      `| ${name.padEnd(38)} | ${cells.map((cell) => String(typeof cell === "number" ? Math.round(cell) : cell).padStart(6)).join(" | ")} |`,
    );
  console.log(
    `\n${runs} runs of each, in turn; ${cpus().length} × ${cpus()[0]?.model.trim()}; Node.js ${process.versions.node}, npm under ${execFileSync(systemNode, ["--version"]).toString().trim()}; ${new Date().toISOString().slice(0, 10)}\n`,
  );
  line("ms to the first answer", ["median", "min", "max", "CPU ms"]);
  console.log(`|${"-".repeat(40)}|${"-------:|".repeat(4)}`);
  for (const [name, measured] of times) {
    const { median: middle, min, max } = summary(measured.map(({ ms }) => ms));
    line(name, [middle, min, max, summary(measured.map((start) => start.processorMs)).median]);
  }
  const bareMs = median("bare node:http");
  const guardMs = median("guard and bare node:http") - bareMs;
  const ownMs = median("server/main.ts alone") - bareMs;
  console.log("\nOf the median of npm start:");
  line("Ketline's own part", [ownMs, "", ""]);
  line("Node.js itself", [bareMs, "", ""]);
  line("tools/node22.mjs (a second Node.js)", [guardMs, "", ""]);
  line("npm", [median("npm start") - ownMs - bareMs - guardMs, "", ""]);
  console.log(`\nMemory of the idle server after ${idleMs / 1000} s: ${rssMiB.toFixed(0)} MiB resident.`);
}

function summary(measured: readonly number[]): { median: number; min: number; max: number } {
  const sorted = measured.toSorted((a, b) => a - b);
  return {
    median: sorted[sorted.length >> 1] ?? Number.NaN,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}

function fail(): never {
  throw new Error("This cannot happen: the operating system gave no process id or port.");
}

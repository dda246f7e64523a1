import { type ChildProcess, fork, spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** The processor that servers share, and that of the client, so that neither takes the other's time. */
export type Core = "server" | "client";

const canPin = spawnSync("taskset", ["--version"]).status === 0;
export const pinning = canPin
  ? "servers on core 0, the client on core 1 (taskset)"
  : "not pinned: there is no taskset here";

/** How servers of this repository are run. */
export const node: readonly string[] = [process.execPath, "--disable-warning=ExperimentalWarning"];
export const stripped: readonly string[] = [
  "--import",
  path.join(path.dirname(path.dirname(import.meta.dirname)), "tools/stripped.mjs"),
];

const started: ChildProcess[] = [];

/** Runs a command until `endChildren`, its output kept for what goes wrong. */
export function run(
  core: Core,
  command: readonly string[],
  options: { readonly env?: Record<string, string>; readonly cwd?: string } = {},
): { readonly child: ChildProcess; readonly output: () => string } {
  const [program = "", ...args] = canPin
    ? ["taskset", "-c", core === "server" ? "0" : "1", ...command]
    : command;
  const child = spawn(program, args, {
    ...options,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ORT_DISABLE_TELEMETRY: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  let output = "";
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-20_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  return { child, output: () => output };
}

/** A module of ours that answers each message with one. */
export function helper<Request extends object, Answer>(
  core: Core,
  module: string,
  options: { readonly env?: Record<string, string>; readonly args?: readonly string[] } = {},
): { readonly pid: number; ask(request: Request): Promise<Answer>; heard(): Promise<unknown> } {
  const child = fork(module, options.args ?? [], {
    env: { PATH: process.env.PATH, ORT_DISABLE_TELEMETRY: "1", ...options.env },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  started.push(child);
  if (canPin) spawnSync("taskset", ["-a", "-c", "-p", core === "server" ? "0" : "1", String(child.pid)]);
  const heard = () =>
    new Promise<unknown>((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`${module} ended with ${code}`));
      child.once("exit", onExit);
      child.once("message", (message) => {
        child.removeListener("exit", onExit);
        resolve(message);
      });
    });
  return {
    pid: child.pid ?? 0,
    heard,
    async ask(request) {
      const answer = heard();
      child.send(request);
      const { measurement, error } = (await answer) as { measurement: Answer; error?: string };
      if (error !== undefined) throw new Error(error);
      return measurement;
    },
  };
}

export function endChildren(): void {
  for (const child of started) end(child);
}

/** Ends one, and waits until it is gone. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (!end(child)) return;
  await new Promise((resolve) => child.once("exit", resolve));
}

function end(child: ChildProcess): boolean {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return false;
  child.removeAllListeners("exit");
  for (const pid of family(child.pid).reverse()) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  return true;
}

/** A process with all that it started. */
export function family(pid: number): number[] {
  const parents = new Map<number, number>();
  try {
    for (const entry of readdirSync("/proc")) {
      if (!/^\d+$/.test(entry)) continue;
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    }
  } catch {
    // A process ended while it was looked at, or there is no /proc: what was found so far is enough.
  }
  const found = [pid];
  for (const member of found) {
    for (const [child, parent] of parents) if (parent === member && !found.includes(child)) found.push(child);
  }
  return found;
}

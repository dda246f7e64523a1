import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";

const root = path.dirname(path.dirname(import.meta.dirname));

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Undefined while it runs. */
  ended(): number | string | undefined;
  /** How it ended, with the last that it said on stderr; undefined while it runs. */
  ending(): string | undefined;
  /** As a power cut would: no signal handler, no flush. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the server over a data directory, as `npm start` does, and waits until it answers. */
export async function startServerProcess(
  data: string,
  options: { readonly limitMs?: number; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<ServerProcess> {
  const { limitMs = 30_000, env = {} } = options;
  const child = spawn(process.execPath, [...process.execArgv, path.join(root, "server", "main.ts")], {
    cwd: root,
    env: { PATH: process.env.PATH, PORT: "0", KETLINE_DATA: data, KETLINE_LOG_LEVEL: "error", ...env },
    stdio: ["ignore", "inherit", "pipe"],
  });
  let lastWords = "";
  child.stderr.on("data", (text: Buffer) => {
    lastWords = (lastWords + text).slice(-4000);
  });
  const limit = setTimeout(() => child.kill("SIGKILL"), limitMs);
  try {
    return {
      url: await greeted(child),
      pid: child.pid ?? 0,
      ended: () => child.exitCode ?? child.signalCode ?? undefined,
      ending: () => {
        if (child.exitCode === null && child.signalCode === null) return undefined;
        return `ended (${child.exitCode ?? child.signalCode}): ${lastWords}`;
      },
      kill: () => end(child, "SIGKILL"),
      stop: () => end(child, "SIGTERM"),
    };
  } finally {
    clearTimeout(limit);
  }
}

function greeted(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    // From then on it only says what went wrong, which is shown.
    let isGreeted = false;
    child.stderr?.on("data", (text: Buffer) => {
      if (isGreeted) process.stderr.write(text);
      said += text;
      const url = /listens on\s+(http:\S+)/.exec(said)?.[1];
      if (url === undefined || isGreeted) return;
      isGreeted = true;
      said = "";
      resolve(url);
    });
    child.once("exit", (code, signal) =>
      reject(new Error(`The server did not start (${code ?? signal}): ${said}`)),
    );
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface DemoServer {
  readonly url: string;
  stop(): Promise<void>;
}

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const startWithinMs = 60_000;

/** Starts Ketline as `npm start` does, in a process and a data directory of its own, on a free port. */
export async function startDemoServer(dataDirectory: string): Promise<DemoServer> {
  const child = spawn(process.execPath, [path.join(root, "tools/node22.mjs"), "server/main.ts"], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, PORT: "0", KETLINE_DATA: dataDirectory, KETLINE_LOG_LEVEL: "warn" },
  });
  const url = await addressOf(child);
  return {
    url,
    async stop() {
      if (child.exitCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** Reads the address from what the server says when it is up. */
async function addressOf(child: ChildProcess): Promise<string> {
  const said: string[] = [];
  const deadline = AbortSignal.timeout(startWithinMs);
  if (child.stderr === null) throw new Error("The server's output cannot be read.");
  try {
    for await (const line of createInterface({ input: child.stderr, signal: deadline })) {
      said.push(line);
      const found = /http:\/\/[\w.:[\]]+/.exec(line)?.[0];
      if (found !== undefined) return found;
    }
  } finally {
    child.stderr.resume();
  }
  child.kill("SIGKILL");
  throw new Error(`The server did not start. It said:\n${said.join("\n")}`);
}

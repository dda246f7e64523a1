import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { setPriority } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface HostStart {
  /** The working directory of the process. */
  readonly directory: string;
  /** Of data: heaps and whatever is allocated, not the pages of programs. */
  readonly memoryBytes: number;
  /** Whether others go first when the processors are busy. */
  readonly isPatient: boolean;
}

export interface StartedHost {
  readonly process: ChildProcess;
  /** The end of what it wrote to its standard error. */
  said(): string;
}

/** JavaScript heap of a process in megabytes. */
const heapMb = 512;
/** Of short-lived objects: what a host is sent lies outside, and 16, the default, are never given back. */
const youngMb = 1;
/** A process of Node.js with ONNX Runtime has 52 MiB of data before it is asked for anything. */
const smallestMemoryBytes = 256 * 1024 ** 2;
const saidBytes = 4096;
const patientPriority = 5;

/**
 * Starts a process for models, with nothing of the server's environment: what runs there is somebody else's. Its memory
 * has a limit of the system's own where there is a shell to set one (Linux keeps it for every allocation, RLIMIT_DATA in
 * getrlimit(2); macOS and Windows do not, and there only its own reports tell, see `memory-watch.ts`).
 */
export function startHost({ directory, memoryBytes, isPatient }: HostStart): StartedHost {
  mkdirSync(directory, { recursive: true });
  const command = [
    process.execPath,
    ...preloads(process.execArgv, process.cwd()),
    `--max-old-space-size=${heapMb}`,
    `--max-semi-space-size=${youngMb}`,
    fileURLToPath(new URL("./host.process.ts", import.meta.url)),
  ];
  const limitKb = Math.ceil(Math.max(memoryBytes, smallestMemoryBytes) / 1024);
  const [file = "", ...args] = existsSync(shell)
    ? [shell, "-c", limited, "sh", String(limitKb), ...command]
    : command;
  const child = spawn(file, args, {
    cwd: directory,
    env: { LC_ALL: "C.UTF-8", TZ: "UTC", ORT_DISABLE_TELEMETRY: "1" },
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  if (isPatient && child.pid !== undefined) lowerPriority(child.pid);
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-saidBytes);
  });
  return { process: child, said: () => said.trim() };
}

const shell = "/bin/sh";
/** No core files either: one would be as large as the process was. What cannot be set is left as it is. */
const limited = 'ulimit -c 0 2>/dev/null; ulimit -d "$1" 2>/dev/null; shift; exec "$@"';

/**
 * What this process loads before anything else (`tools/stripped.mjs`), so that a host starts as fast. By its whole path:
 * a host works in another directory. Everything else that Node.js was started with stays behind.
 */
export function preloads(execArgv: readonly string[], directory: string): string[] {
  return execArgv.flatMap((argument, index) => {
    const named = argument.startsWith("--import=")
      ? argument.slice("--import=".length)
      : execArgv[index - 1] === "--import"
        ? argument
        : "";
    if (named.startsWith("file:")) return [`--import=${named}`];
    const isPath = /^\.{0,2}[\\/]/.test(named) || path.isAbsolute(named);
    return isPath ? [`--import=${pathToFileURL(path.resolve(directory, named)).href}`] : [];
  });
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, patientPriority);
  } catch {
    // It goes on as important as the server.
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

interface ProcessLimits {
  /**
   * Private memory that the process may write to, in MiB, its threads' stacks included: beyond it an allocation fails,
   * which ends the process unless its code expects that. An idle Node.js with DuckDB needs some 130.
   */
  readonly memoryMiB: number;
  /** JavaScript heap, in MiB; typed arrays and native memory are not counted here. */
  readonly heapMiB: number;
  /** Of the heap's short-lived objects, in MiB; V8's default is 16, which it does not give back. */
  readonly youngMiB?: number;
}

export interface LimitedProcess {
  /** Speaks by messages that are structured clones. */
  readonly child: ChildProcess;
  /** The end of what it wrote to its standard output and error: its own words where it could not start. */
  said(): string;
}

/**
 * Starts a module in a process whose end is not ours, for native code that reads what strangers sent. It has nothing of
 * our environment, and on Linux a limit on its memory that the kernel holds; elsewhere only the heap has one.
 *
 * The limit is `RLIMIT_DATA`, not `RLIMIT_AS`: V8 reserves hundreds of megabytes of address space that it never uses.
 */
export function startLimited(
  module: URL,
  { memoryMiB, heapMiB, youngMiB, cwd }: ProcessLimits & { readonly cwd?: string },
): LimitedProcess {
  const node = [
    process.execPath,
    ...preloads(process.execArgv, process.cwd()),
    `--max-old-space-size=${heapMiB}`,
    ...(youngMiB === undefined ? [] : [`--max-semi-space-size=${youngMiB}`]),
    fileURLToPath(module),
  ];
  const [command = "", ...args] = existsSync(shell) ? [shell, "-c", limiting(memoryMiB), ...node] : node;
  const child = spawn(command, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: environment,
    serialization: "advanced",
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let tail = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      tail = (tail + text).slice(-maxSaid);
    });
  }
  return { child, said: () => tail.trim() };
}

/** To be called inside: where the machine's memory runs out, Linux should end this process and not the server. */
export async function sacrificeFirst(): Promise<void> {
  await writeFile("/proc/self/oom_score_adj", "900").catch(() => {});
}

const shell = process.platform === "linux" ? "/bin/sh" : "";
/** V8 writes several kilobytes of stack after the sentence that says why it ends. */
const maxSaid = 16 * 1024;

/** The same for every machine; 8 MiB of stack, also for native threads, where a server may have been given any. */
function limiting(memoryMiB: number): string {
  return `ulimit -S -s 8192 2>/dev/null; ulimit -c 0; ulimit -d ${memoryMiB * 1024} && exec "$0" "$@"`;
}

/** `ORT_DISABLE_TELEMETRY`: see `silenceDependencies` in `shared/config.ts`. */
const environment: NodeJS.ProcessEnv = { LC_ALL: "C.UTF-8", TZ: "UTC", ORT_DISABLE_TELEMETRY: "1" };

/**
 * What this process loads before anything else (`tools/stripped.mjs`), so that the other starts as fast. By its whole path:
 * the other may work in another directory. Everything else that Node.js was started with stays behind.
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

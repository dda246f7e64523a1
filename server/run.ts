import { createPlatform } from "../platform.ts";
import { processConfig } from "../shared/config.ts";
import { exitCodes } from "../shared/exit-codes.ts";
import { keepPrivate } from "../shared/private-files.ts";
import { greeting } from "./greeting.ts";
import { startServer } from "./server.ts";
import { stopOnSignals } from "./signals.ts";

/** Runs the standalone server until a signal ends it. What keeps it from starting is said in one sentence. */
export async function run(): Promise<void> {
  // A person at a terminal reads the greeting and what goes wrong; a log collector wants every request.
  const defaults = process.stdout.isTTY ? { KETLINE_LOG_LEVEL: "warn" } : {};
  try {
    const config = processConfig({}, defaults);
    // Whatever this process and its children write is for this user alone, also what libraries write.
    process.umask(0o077);
    keepPrivate(config.dataDirectory);
    const server = await startServer(await createPlatform(config));
    process.stderr.write(greeting(config, server.url));
    stopOnSignals({
      stop: server.stop,
      exit: (code) => process.exit(code),
      say: (line) => process.stderr.write(`${line}\n`),
    });
  } catch (error) {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exitCode = exitCodes.cannotStart;
  }
}

/** What a person can put right is said in a sentence; only a mistake of ours needs its place in the code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const ours = error instanceof TypeError || error instanceof ReferenceError || error instanceof SyntaxError;
  return (ours ? error.stack : undefined) ?? error.message;
}

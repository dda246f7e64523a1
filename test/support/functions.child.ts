import { loadPackage } from "./functions-core.ts";
import { startFunctionsHost } from "./functions-host.ts";

// The process that stands for one instance: node functions.child.ts <package> index|buffered|streaming
// The library keeps its settings per process, so each mode has its own.

const [directory = "", mode = "index"] = process.argv.slice(2);
try {
  const core = await loadPackage(directory, mode === "index" ? undefined : mode === "streaming");
  const url = mode === "index" ? "" : await startFunctionsHost(core);
  const functions = [...core.functions.values()];
  if (process.send === undefined) process.stdout.write(JSON.stringify({ url, functions }));
  else process.send({ url, functions });
  process.on("disconnect", () => process.exit(0));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}

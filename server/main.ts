import { flushCompileCache } from "node:module";
import { run } from "./run.ts";

await run();
// Compiled code is kept for the next start (tools/stripped.mjs), also when this process is killed one day.
flushCompileCache();

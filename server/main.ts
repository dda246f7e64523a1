import { enableCompileCache } from "node:module";
import path from "node:path";

// Compiled code and stripped types are kept between starts; it halves the time to the first answer (bench/start).
enableCompileCache(path.join(import.meta.dirname, "..", "node_modules", ".cache", "ketline"));

const { run } = await import("./run.ts");
await run();

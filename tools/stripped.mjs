// Keeps what Node.js makes of our TypeScript between starts. Stripping types loads a compiler of 20 MB and takes longer
// than everything else in a start (bench/start); here each file is stripped once and read from the cache until it
// changes. Loaded with --import, so worker threads have it too. Without a writable cache nothing changes but the time.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { enableCompileCache, registerHooks, stripTypeScriptTypes } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { threadId } from "node:worker_threads";

const cache = path.join(import.meta.dirname, "..", "node_modules", ".cache", "ketline");
const stripped = path.join(cache, `stripped-${process.version}`);
try {
  mkdirSync(stripped, { recursive: true });
} catch {
  // read-only: every lookup below misses
}
enableCompileCache(path.join(cache, "compiled"));

registerHooks({
  // A relative import that names its file needs no search; for 700 modules the search is a third of a start.
  resolve(specifier, context, nextResolve) {
    const named = /^\.\.?\/.*\.(ts|js|mjs)$/.test(specifier);
    if (!named || !context.parentURL?.startsWith("file:") || !context.conditions.includes("import")) {
      return nextResolve(specifier, context);
    }
    return { url: new URL(specifier, context.parentURL).href, shortCircuit: true };
  },

  load(url, context, nextLoad) {
    if (!url.startsWith("file:") || !url.endsWith(".ts") || url.includes("/node_modules/")) {
      return nextLoad(url, context);
    }
    const file = fileURLToPath(url);
    return { format: "module", source: load(file), shortCircuit: true };
  },
});

function load(file) {
  const { mtimeMs, size } = statSync(file);
  const mark = `\n// ${mtimeMs} ${size}`;
  const cached = path.join(stripped, createHash("sha256").update(file).digest("hex").slice(0, 32));
  try {
    const text = readFileSync(cached, "utf8");
    if (text.endsWith(mark)) return text.slice(0, -mark.length);
  } catch {
    // not there yet
  }
  // Types become spaces, so lines and columns in stack traces are those of the source.
  const source = stripTypeScriptTypes(readFileSync(file, "utf8"));
  try {
    const temporary = `${cached}.${process.pid}.${threadId}`;
    writeFileSync(temporary, source + mark);
    renameSync(temporary, cached);
  } catch {
    // the next start strips it again
  }
  return source;
}

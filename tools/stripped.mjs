// Loads our TypeScript, and what it imports, in the shortest way. Loaded with --import, so worker threads and the
// processes of models have it too.
//
// Stripping types loads a compiler of 20 MB and takes longer than everything else in a start (bench/start): each file is
// stripped once and read from node_modules/.cache until it changes. And Node.js asks much of every one of 900 modules that
// is known here: where a relative import lies, where a package lies that another file has already imported, whether a
// file of a package is an ES module. Without a writable cache nothing changes but the time, and KETLINE_LOADER=plain
// leaves all of it to Node.js (docs/adr/0018).
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { enableCompileCache, registerHooks, stripTypeScriptTypes } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { threadId } from "node:worker_threads";
import { createJoinedPackages } from "./joined.mjs";
import { createPackageLoader } from "./packages.mjs";

const root = pathToFileURL(path.join(import.meta.dirname, "..", path.sep)).href;
const cache = path.join(import.meta.dirname, "..", "node_modules", ".cache", "ketline");
const stripped = path.join(cache, `sources-${process.version}`);
enableCompileCache(path.join(cache, "compiled"));

/** A relative import that names its file in plain characters: nothing is left to search for, or to decode. */
const named = /^(?:\.\/|(?:\.\.\/)+)(?:[\w@-][\w.@-]*\/)*[\w@-][\w.@-]*\.(?:ts|js|mjs)$/;
/** What our sources import by name, e.g. "kysely" and "node:path": it means the same in all of them. */
const packages = new Map();
const loadPackage = createPackageLoader();
const joined = createJoinedPackages(path.join(cache, "joined"));

const hooks = {
  resolve(specifier, context, nextResolve) {
    const { parentURL, conditions, importAttributes } = context;
    const isPlain =
      parentURL?.startsWith("file:") &&
      conditions.includes("import") &&
      Object.keys(importAttributes).length === 0 &&
      !/[?#]/.test(parentURL);
    if (!isPlain) return nextResolve(specifier, context);
    if (specifier.startsWith(".")) {
      if (!named.test(specifier)) return nextResolve(specifier, context);
      return { url: beside(parentURL, specifier), shortCircuit: true };
    }
    if (!isOurs(parentURL)) return nextResolve(specifier, context);
    let found = packages.get(specifier);
    if (found === undefined) {
      const url = joined.find(specifier, (name) => nextResolve(name, context).url);
      found = { ...(url === undefined ? nextResolve(specifier, context) : { url }), shortCircuit: true };
      packages.set(specifier, found);
      loadPackage.imported(found.url);
    }
    return found;
  },

  load(url, context, nextLoad) {
    if (!url.startsWith("file:")) return nextLoad(url, context);
    if (url.includes("/node_modules/")) return loadPackage.load(url, context) ?? nextLoad(url, context);
    if (!url.endsWith(".ts")) return nextLoad(url, context);
    return {
      format: "module",
      source: isOurs(url) ? kept(url) : strip(fileURLToPath(url)),
      shortCircuit: true,
    };
  },
};
if (process.env.KETLINE_LOADER !== "plain") registerHooks(hooks);

function isOurs(url) {
  return url.startsWith(root) && !url.startsWith("node_modules/", root.length);
}

/** `new URL(specifier, parent).href` for what `named` lets through, a tenth of its time. */
function beside(parent, specifier) {
  let end = parent.lastIndexOf("/");
  let start = specifier.startsWith("./") ? 2 : 0;
  for (; specifier.startsWith("../", start); start += 3) end = parent.lastIndexOf("/", end - 1);
  return parent.slice(0, end + 1) + specifier.slice(start);
}

function kept(url) {
  const file = fileURLToPath(url);
  const { mtimeMs, size } = statSync(file);
  const mark = `\n// ${mtimeMs} ${size}`;
  const copy = path.join(stripped, url.slice(root.length));
  try {
    const text = readFileSync(copy, "utf8");
    if (text.endsWith(mark)) return text.slice(0, -mark.length);
  } catch {
    // not there yet
  }
  const source = strip(file);
  try {
    mkdirSync(path.dirname(copy), { recursive: true });
    const temporary = `${copy}.${process.pid}.${threadId}`;
    writeFileSync(temporary, source + mark);
    renameSync(temporary, copy);
  } catch {
    // the next start strips it again
  }
  return source;
}

/** Types become spaces, so lines and columns in stack traces are those of the source. */
function strip(file) {
  return stripTypeScriptTypes(readFileSync(file, "utf8"));
}

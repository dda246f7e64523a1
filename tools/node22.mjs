// Runs a script or a tool of node_modules on the Node.js that package.json pins, whatever Node.js started this file.
//   node tools/node22.mjs server/main.ts [arguments]     a file of this repository
//   node tools/node22.mjs vitest run                     the command of a dependency
// Plain JavaScript on purpose: an old Node.js must be able to read it.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const [target, ...args] = process.argv.slice(2);
if (target === undefined) fail("usage: node tools/node22.mjs <file or command> [arguments]");

const runtime = supported(process.versions.node) ? process.execPath : pinnedRuntime();
if (runtime === null) {
  fail(
    `Ketline needs Node.js 22.18 or newer and this is ${process.versions.node}. ` +
      `"npm install" brings the right one along on Linux, macOS and Windows; on this platform ` +
      `(${process.platform} ${process.arch}) please install Node.js 22 yourself.`,
  );
}

const script = resolveTarget(target);
const flags = ["--disable-warning=ExperimentalWarning"];
if (script.endsWith(".ts")) flags.push("--import", new URL("stripped.mjs", import.meta.url).href);
const inProcess = runtime === process.execPath && process.execArgv.includes(flags[0]);
if (inProcess) {
  process.argv.splice(1, 2, script);
  await import(pathToFileURL(script).href);
} else {
  const PATH = [path.dirname(runtime), path.join(root, "node_modules", ".bin"), process.env.PATH].join(
    path.delimiter,
  );
  const child = spawn(runtime, [...flags, script, ...args], {
    stdio: "inherit",
    // ONNX Runtime speaks to its maker unless it is told not to before it is loaded: in benchmarks and tests as well.
    env: { ...process.env, PATH, ORT_DISABLE_TELEMETRY: "1" },
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  if (process.env.npm_lifecycle_event !== undefined) stopWithParent(child);
  child.on("exit", (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : (code ?? 1)));
}

/** npm puts a shell between itself and us and ends that shell without a word to us, when it is told to stop. */
function stopWithParent(child) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill("SIGTERM");
  }, 250);
  watch.unref();
}

function supported(version) {
  const [major, minor] = version.split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 18);
}

/** The binary that the optional dependency for this platform brought, or null where there is none. */
function pinnedRuntime() {
  const names = { darwin: ["node-bin-darwin", "node-darwin"], linux: ["node-linux"], win32: ["node-win"] };
  for (const prefix of names[process.platform] ?? []) {
    try {
      const manifest = require.resolve(`${prefix}-${process.arch}/package.json`);
      const binary = path.join(
        path.dirname(manifest),
        "bin",
        process.platform === "win32" ? "node.exe" : "node",
      );
      if (existsSync(binary)) return binary;
    } catch {
      // not installed for this platform; the caller explains
    }
  }
  return null;
}

function resolveTarget(name) {
  const file = path.resolve(root, name);
  if (/\.[cm]?[jt]s$/.test(name) && existsSync(file)) return file;
  const packageName =
    { biome: "@biomejs/biome", tsc: "typescript", depcruise: "dependency-cruiser" }[name] ?? name;
  const manifestPath = path.join(root, "node_modules", packageName, "package.json");
  if (!existsSync(manifestPath))
    fail(`"${name}" is neither a file here nor an installed command; run "npm install" first.`);
  const { bin } = JSON.parse(readFileSync(manifestPath, "utf8"));
  const relative = typeof bin === "string" ? bin : bin?.[name];
  if (relative === undefined) fail(`The package ${packageName} has no command "${name}".`);
  return path.join(path.dirname(manifestPath), relative);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

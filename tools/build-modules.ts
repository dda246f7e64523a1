import { existsSync, globSync } from "node:fs";
import { copyFile, mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";

interface Unbundled {
  readonly name: string;
  readonly why: "native" | "patched" | "workers" | "files";
  /** Files that no import leads to, below node_modules. */
  readonly files: readonly string[];
}

/** The packages that stay packages. */
export const unbundled: readonly Unbundled[] = [
  // OpenTelemetry's instrumentation finds this one by its name when it is loaded.
  { name: "@azure/functions", why: "patched", files: [] },
  {
    name: "@duckdb/node-api",
    why: "native",
    files: ["@duckdb/node-bindings-linux-x64/{package.json,duckdb.node,libduckdb.so}"],
  },
  { name: "@opentelemetry/sdk-node", why: "patched", files: [] },
  { name: "better-sqlite3", why: "native", files: ["better-sqlite3/prebuilds/linux-x64.node"] },
  {
    name: "onnxruntime-node",
    why: "native",
    // Without libonnxruntime_providers_{cuda,tensorrt}: there is no GPU.
    files: ["onnxruntime-node/bin/napi-v6/linux/x64/{libonnxruntime.so.1,onnxruntime_binding.node}"],
  },
  { name: "piscina", why: "workers", files: ["piscina/dist/worker.js"] },
  { name: "qsharp-lang", why: "native", files: ["qsharp-lang/lib/web/qsc_wasm_bg.wasm"] },
  {
    name: "swagger-ui-dist",
    why: "files",
    files: ["swagger-ui-dist/{package.json,swagger-ui.css,swagger-ui-bundle.js}"],
  },
];

export interface ModuleShare {
  readonly name: string;
  readonly sizeBytes: number;
}

/**
 * Copies those packages into the deployable one: the files that an import of them reaches, as esbuild traces it, those
 * named above, and the package.json and licence of every package touched.
 *
 * @throws Error when a file for linux-x64 is not there, as after an install for another platform.
 */
export async function copyModules(root: string, directory: string): Promise<readonly ModuleShare[]> {
  const modules = path.join(root, "node_modules");
  const copied = new Set<string>();
  const shares: ModuleShare[] = [];
  for (const one of unbundled) {
    const { name, files } = one;
    const chosen = new Set(await reachable(root, one));
    for (const pattern of files) {
      const found = globSync(pattern, { cwd: modules });
      if (found.length === 0) {
        throw new Error(
          `node_modules/${pattern} is missing. The package is for linux-x64: install with "npm install --os=linux --cpu=x64 --libc=glibc".`,
        );
      }
      for (const file of found) chosen.add(file);
    }
    for (const file of [...chosen]) for (const extra of describing(modules, file)) chosen.add(extra);
    let sizeBytes = 0;
    for (const file of chosen) {
      if (copied.has(file) || !(await stat(path.join(modules, file))).isFile()) continue;
      copied.add(file);
      const target = path.join(directory, "node_modules", file);
      await mkdir(path.dirname(target), { recursive: true });
      await copyFile(path.join(modules, file), target);
      sizeBytes += (await stat(target)).size;
    }
    shares.push({ name, sizeBytes });
  }
  return shares;
}

/** The JavaScript and JSON that running the package may load, below node_modules. */
async function reachable(root: string, { name, why }: Unbundled): Promise<readonly string[]> {
  const entry = why === "files" ? "" : `import ${JSON.stringify(name)};\nrequire(${JSON.stringify(name)});`;
  const { metafile } = await build({
    absWorkingDir: root,
    stdin: { contents: entry, resolveDir: root },
    bundle: true,
    write: false,
    metafile: true,
    preserveSymlinks: true,
    platform: "node",
    format: "cjs",
    external: ["@azure/functions-core", "@duckdb/node-bindings-*"],
    loader: { ".node": "empty" },
    logLevel: "silent",
  });
  return Object.keys(metafile.inputs)
    .filter((input) => input.startsWith("node_modules/") && !input.endsWith(".node"))
    .map((input) => path.relative("node_modules", input))
    .filter((file) => existsSync(path.join(root, "node_modules", file)));
}

/** Every package.json above a file, which say what kind of module it is, and its package's licence. */
function describing(modules: string, file: string): readonly string[] {
  const home = packageOf(file);
  const found = globSync("{LICENSE*,LICENSE*/*,NOTICE*}", { cwd: path.join(modules, home) }).map((name) =>
    path.join(home, name),
  );
  for (let at = path.dirname(file); at.length >= home.length; at = path.dirname(at)) {
    const manifest = path.join(at, "package.json");
    if (existsSync(path.join(modules, manifest))) found.push(manifest);
  }
  return found;
}

/** `@scope/name/lib/x.js` → `@scope/name`, and nested packages by their own place. */
function packageOf(file: string): string {
  const parts = file.split(path.sep);
  const nested = parts.lastIndexOf("node_modules") + 1;
  return parts.slice(0, nested + (parts[nested]?.startsWith("@") ? 2 : 1)).join(path.sep);
}

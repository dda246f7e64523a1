import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { threadId } from "node:worker_threads";

/** For what only joining needs. */
const require = createRequire(import.meta.url);

/**
 * Packages of many small modules, 430 of the 950 that a start of the server read, each with the entries that share
 * modules with it: a module is then still loaded only once. No other package may hand their objects to our sources, save
 * OpenTelemetry's, whose API is made to be there several times.
 */
const groups = [
  ["kysely"],
  ["zod"],
  ["hono"],
  ["@opentelemetry/api"],
  ["@bufbuild/protobuf", "@bufbuild/protobuf/codegenv2"],
];

/**
 * Finds a package as one file, which loads in half the time. esbuild joins it at the first start after an install and
 * the file is kept until a module of it changes. Where esbuild is not installed or nothing can be kept, packages are
 * loaded as they are.
 *
 * @param folder where joined packages are kept
 */
export function createJoinedPackages(folder) {
  /** By the name of a package: the URL of its file, or undefined when it has none. */
  const found = new Map();

  return {
    /**
     * @param name as it is imported
     * @param resolve gives the URL of a package's module, as Node.js finds it
     * @returns the URL of the file; undefined when the package is loaded as it is
     */
    find(name, resolve) {
      if (found.has(name)) return found.get(name);
      const group = groups.find((names) => names.includes(name)) ?? [];
      const files = group.length === 0 ? undefined : (kept(folder, group) ?? join(folder, group, resolve));
      for (const one of group) found.set(one, files?.[one]);
      return found.get(name);
    },
  };
}

const manifestOf = (folder, group) => path.join(folder, `${group[0].replace("/", "-")}.json`);

/** The files of a group, if they are made of what its modules are now. Paths are relative: a copied tree has its own. */
function kept(folder, group) {
  try {
    const { made, inputs, versions } = JSON.parse(readFileSync(manifestOf(folder, group), "utf8"));
    for (const [file, mtimeMs, size] of inputs) {
      const now = statSync(path.join(folder, file));
      if (now.mtimeMs !== mtimeMs || now.size !== size) return undefined;
    }
    // npm gives the files of every version the same time.
    for (const [manifest, version] of versions) {
      if (versionIn(path.join(folder, manifest)) !== version) return undefined;
    }
    for (const index of group.keys()) statSync(path.join(folder, made, `${index}.mjs`));
    return filesOf(path.join(folder, made), group);
  } catch {
    return undefined;
  }
}

function join(folder, group, resolve) {
  const temporary = path.join(folder, `${process.pid}.${threadId}`);
  try {
    mkdirSync(temporary, { recursive: true });
    const { buildSync } = require("esbuild");
    const { metafile } = buildSync({
      absWorkingDir: folder,
      entryPoints: group.map((name, i) => ({ in: fileURLToPath(resolve(name)), out: String(i) })),
      outdir: temporary,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      target: "node22",
      // As Node.js resolves: esbuild's own conditions would choose other files.
      conditions: ["import"],
      mainFields: ["main"],
      metafile: true,
      logLevel: "silent",
    });
    const sources = Object.keys(metafile.inputs);
    const inputs = sources.map((file) => {
      const { mtimeMs, size } = statSync(path.join(folder, file));
      return [file, mtimeMs, size];
    });
    const manifests = [...new Set(sources.map((file) => manifestOfPackage(folder, file)))];
    const versions = manifests.map((manifest) => [manifest, versionIn(path.join(folder, manifest))]);
    const { createHash } = require("node:crypto");
    const key = createHash("sha256")
      .update(JSON.stringify([inputs, versions]))
      .digest("hex")
      .slice(0, 16);
    const made = `${path.basename(manifestOf(folder, group), ".json")}-${key}`;
    putInPlace(temporary, path.join(folder, made));
    writeFileSync(`${temporary}.json`, JSON.stringify({ made, inputs, versions }));
    renameSync(`${temporary}.json`, manifestOf(folder, group));
    return filesOf(path.join(folder, made), group);
  } catch {
    // no esbuild, no place to write to, a package that lies elsewhere: a start must not fail for its speed
    return undefined;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Of a joined group, the URL of each package's file. */
function filesOf(made, group) {
  return Object.fromEntries(group.map((name, i) => [name, pathToFileURL(path.join(made, `${i}.mjs`)).href]));
}

/** Another process may have made the same meanwhile; what somebody has taken files out of is replaced. */
function putInPlace(temporary, made) {
  try {
    renameSync(temporary, made);
  } catch (error) {
    if (!["EEXIST", "ENOTEMPTY", "EPERM"].includes(error.code)) throw error;
    if (readdirSync(temporary).every((file) => existsSync(path.join(made, file)))) return;
    rmSync(made, { recursive: true });
    renameSync(temporary, made);
  }
}

/** The package.json above a module: `…/node_modules/kysely/dist/kysely.js` → `…/node_modules/kysely/package.json` */
function manifestOfPackage(folder, file) {
  const [directory] = path.join(folder, file).match(/^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/);
  return path.relative(folder, path.join(directory, "package.json"));
}

function versionIn(manifest) {
  return JSON.parse(readFileSync(manifest, "utf8")).version;
}

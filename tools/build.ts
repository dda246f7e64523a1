import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { bundle } from "./build-bundles.ts";
import { copyModules, type ModuleShare, unbundled } from "./build-modules.ts";
import { zipDirectory } from "./build-zip.ts";

// npm run build [-- --out dist]: the package that a Function App runs, as dist/package/ and dist/ketline.zip.
//
//   functions/ketline.cjs  what the host indexes: the functions of every capability, and nothing heavy
//   app/*.mjs              the platform and its workers, loaded at the first invocation, shared chunks between them
//   node_modules/          what cannot be bundled, only the files that run on linux-x64

const root = path.dirname(import.meta.dirname);
const { values } = parseArgs({ options: { out: { type: "string", default: "dist" } } });
const out = path.resolve(root, values.out);
const directory = path.join(out, "package");
const maxBytes = 200 * 1000 ** 2;

try {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await writeManifest();
  const bundledBytes = await bundle(root, directory);
  const shares = await copyModules(root, directory);
  const zip = await zipDirectory(directory, path.join(out, "ketline.zip"));
  report(bundledBytes, shares, zip.sizeBytes);
  const unpackedBytes = bundledBytes + shares.reduce((sum, share) => sum + share.sizeBytes, 0);
  if (unpackedBytes > maxBytes) {
    throw new Error(
      `The package has ${megabytes(unpackedBytes)} unpacked; ${megabytes(maxBytes)} is the most.`,
    );
  }
  console.log(`\nIndexed from a copy of its own: ${indexFunctions()} functions.`);
} catch (error) {
  console.error(`build: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function writeManifest(): Promise<void> {
  const { name, version, license } = JSON.parse(await readFile(path.join(root, "package.json"), "utf8"));
  const manifest = {
    name,
    version,
    license,
    private: true,
    main: "functions/*.cjs",
    engines: { node: ">=22.18" },
  };
  await writeFile(path.join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  await writeFile(path.join(directory, "host.json"), await readFile(path.join(root, "host.json")));
}

/**
 * Loads the package as the Functions worker does, in a clean process and in a place where no module of this repository
 * can fill a gap. An entry that fails before its first registration would otherwise deploy as an app of no functions.
 *
 * @returns how many functions there are; never 0
 */
function indexFunctions(): number {
  const elsewhere = mkdtempSync(path.join(tmpdir(), "ketline-package-"));
  try {
    cpSync(directory, elsewhere, { recursive: true });
    const child = spawnSync(
      process.execPath,
      [...process.execArgv, path.join(root, "test/support/functions.child.ts"), elsewhere, "index"],
      { cwd: elsewhere, env: { PATH: process.env.PATH, HOME: elsewhere }, encoding: "utf8" },
    );
    if (child.status !== 0) throw new Error(`The package does not load:\n${child.stderr}`);
    loadModules(elsewhere);
    const { functions } = JSON.parse(child.stdout) as { functions: unknown[] };
    if (functions.length === 0) throw new Error("The package loads and registers no function.");
    return functions.length;
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
}

/** Each package that stayed one, with its native part, from the copy. */
function loadModules(elsewhere: string): void {
  const imports = unbundled
    .filter(({ why }) => why !== "files")
    .map(({ name }) => `await import("${name}");`);
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", imports.join("\n")], {
    cwd: elsewhere,
    env: { HOME: elsewhere },
    encoding: "utf8",
  });
  if (child.status !== 0) throw new Error(`A module of the package does not load:\n${child.stderr}`);
}

function report(bundledBytes: number, shares: readonly ModuleShare[], zippedBytes: number): void {
  const total = bundledBytes + shares.reduce((sum, share) => sum + share.sizeBytes, 0);
  const line = (name: string, bytes: number) =>
    console.log(
      `  ${name.padEnd(30)} ${megabytes(bytes).padStart(9)}  ${Math.round((100 * bytes) / total)} %`,
    );
  console.log(`${path.relative(root, directory) || directory}, for linux-x64:`);
  line("Ketline and what is bundled", bundledBytes);
  for (const share of shares.toSorted((a, b) => b.sizeBytes - a.sizeBytes)) line(share.name, share.sizeBytes);
  console.log(`  ${"unpacked".padEnd(30)} ${megabytes(total).padStart(9)}`);
  console.log(`  ${"zipped".padEnd(30)} ${megabytes(zippedBytes).padStart(9)}`);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1000 ** 2).toFixed(1)} MB`;
}

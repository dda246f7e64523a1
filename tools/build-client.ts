import { spawnSync } from "node:child_process";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";

// npm run build:client [-- --out dist/client]: the TypeScript client of MLflow's API as JavaScript with its types, which
// is what `import "ketline/client"` means. It needs zod and nothing else, in Node.js 20 or newer and in browsers.

const root = path.dirname(import.meta.dirname);
const { values } = parseArgs({ options: { out: { type: "string", default: "dist/client" } } });
const out = path.resolve(root, values.out);
const entry = path.join(root, "clients/mlflow/index.ts");

await rm(out, { recursive: true, force: true });
await build({
  entryPoints: [entry],
  outfile: path.join(out, "index.js"),
  bundle: true,
  format: "esm",
  // Neutral: a module of Node.js that slipped in would not resolve.
  platform: "neutral",
  target: "es2022",
  external: ["zod"],
  legalComments: "none",
  logLevel: "warning",
});
const types = spawnSync(
  process.execPath,
  [
    ...[
      path.join(root, "tools/node22.mjs"),
      "tsc",
      "--ignoreConfig",
      "--declaration",
      "--emitDeclarationOnly",
    ],
    ...["--strict", "--exactOptionalPropertyTypes", "--allowImportingTsExtensions"],
    ...["--target", "es2024", "--lib", "es2024,dom,dom.iterable,dom.asynciterable", "--types", ""],
    ...["--module", "nodenext", "--skipLibCheck", "--rootDir", path.dirname(entry), "--outDir", out, entry],
  ],
  { cwd: root, encoding: "utf8" },
);
if (types.status !== 0) throw new Error(`The types could not be written:\n${types.stdout}${types.stderr}`);
// Declarations name each other as their sources did.
for (const name of await readdir(out, { recursive: true })) {
  if (!name.endsWith(".d.ts")) continue;
  const file = path.join(out, name);
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replaceAll(/(["']\.{1,2}\/[\w/-]+)\.ts(["'])/g, "$1.js$2"));
}
console.log(`${path.relative(root, out)}: ${(await readdir(out, { recursive: true })).length} files`);

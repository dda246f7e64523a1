import { globSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { unbundled } from "./build-modules.ts";

/** What a bundled CommonJS dependency expects to find, in an ES module. */
const banner = [
  'import { createRequire as ketlineCreateRequire } from "node:module";',
  'import { fileURLToPath as ketlineFileURLToPath } from "node:url";',
  "const require = ketlineCreateRequire(import.meta.url);",
  "const __filename = ketlineFileURLToPath(import.meta.url);",
  'const __dirname = ketlineFileURLToPath(new URL(".", import.meta.url));',
].join("\n");

const common: BuildOptions = {
  bundle: true,
  platform: "node",
  target: "node22",
  // Names stay, so that stack traces of a deployed app can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
};

/**
 * Bundles the functions into one CommonJS file, which the host loads to index them, and the platform with its workers
 * into ES modules that share chunks, so that each capability's heavy part is read only when it is used and a class such
 * as KetlineError is one and the same on both sides of a worker.
 *
 * @returns the bytes written, package.json and host.json included
 */
export async function bundle(root: string, directory: string): Promise<number> {
  const app = path.join(directory, "app");
  const external = unbundled.map(({ name }) => name);
  const workers = globSync("{models,quantum,environments,shared}/**/*.{worker,process}.ts", {
    cwd: root,
  }).sort();
  const platform = await build({
    ...common,
    absWorkingDir: root,
    entryPoints: Object.fromEntries([
      ["platform", "functions/platform.ts"],
      ...workers.map((worker) => [outputName(worker), worker]),
    ]),
    outdir: app,
    outExtension: { ".js": ".mjs" },
    format: "esm",
    splitting: true,
    banner: { js: banner },
    external: [...external, "pg-native"],
    plugins: [workerReferences(root)],
  });
  const entries = globSync("functions/*.ts", { cwd: root })
    .filter((file) => file !== path.join("functions", "platform.ts"))
    .sort();
  const functions = await build({
    ...common,
    absWorkingDir: root,
    stdin: { contents: entries.map((file) => `import "./${file}";`).join("\n"), resolveDir: root },
    outfile: path.join(directory, "functions", "ketline.cjs"),
    format: "cjs",
    external,
    plugins: [platformApart],
  });
  const written = [platform, functions].flatMap(({ metafile }) => Object.values(metafile?.outputs ?? {}));
  const fixed = await Promise.all(
    ["package.json", "host.json"].map(
      async (name) => (await readFile(path.join(directory, name))).byteLength,
    ),
  );
  await writeFile(path.join(app, "package.json"), '{ "type": "module" }\n');
  return [...written.map(({ bytes }) => bytes), ...fixed].reduce((sum, bytes) => sum + bytes, 0);
}

/** The functions reach the platform by one dynamic import, which stays one in the package. */
const platformApart: Plugin = {
  name: "platform-apart",
  setup({ onResolve }) {
    onResolve({ filter: /^\.{1,2}\/platform\.ts$/ }, () => ({ path: "../app/platform.mjs", external: true }));
  },
};

const workerUrl = /new URL\(\s*"(\.{1,2}\/[^"]+\.(?:worker|process)\.ts)",\s*import\.meta\.url,?\s*\)/g;
const otherUrl = /new URL\(\s*["'`][^"'`]*["'`],\s*import\.meta\.url|import\.meta\.(dirname|filename)/;

/**
 * Points each `new URL("./name.worker.ts", import.meta.url)`, of a thread or a process, at its own bundle beside the
 * platform's.
 */
function workerReferences(root: string): Plugin {
  return {
    name: "worker-references",
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/, namespace: "file" }, async ({ path: file }) => {
        if (file.includes(`${path.sep}node_modules${path.sep}`)) return null;
        const source = await readFile(file, "utf8");
        const contents = source.replace(workerUrl, (_, reference: string) => {
          const worker = path.relative(root, path.resolve(path.dirname(file), reference));
          return `new URL("./${outputName(worker)}.mjs", import.meta.url)`;
        });
        const left = contents
          .replaceAll(/new URL\("\.\/[\w.-]+\.mjs", import\.meta\.url\)/g, "")
          .match(otherUrl);
        if (left !== null) {
          const text = `${path.relative(root, file)} finds a file by its own place (${left[0]}), which a bundle does not keep.`;
          return { errors: [{ text }] };
        }
        return { contents, loader: "ts" };
      });
    },
  };
}

/** `models/training/fitting/fit.worker.ts` → `models-training-fitting-fit.worker` */
function outputName(worker: string): string {
  return worker.replaceAll(/[\\/]/g, "-").replace(/\.ts$/, "");
}

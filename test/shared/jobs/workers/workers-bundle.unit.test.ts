import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const workerUrl = /new URL\(\s*"(\.[^"]+\.(?:worker|process)\.ts)",\s*import\.meta\.url,?\s*\)/g;

it("the worker pool works from CommonJS bundles, where each worker's address is that of its own bundle", async () => {
  const out = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  try {
    await symlink(path.join(root, "node_modules"), path.join(out, "node_modules"));
    await build({
      absWorkingDir: root,
      entryPoints: {
        "entry.worker": "shared/jobs/workers/entry.worker.ts",
        "entry.process": "shared/jobs/workers/entry.process.ts",
        "arithmetic.worker": "test/shared/jobs/workers/arithmetic.worker.ts",
        main: "test/shared/jobs/workers/workers-bundle.child.ts",
      },
      outdir: out,
      outExtension: { ".js": ".cjs" },
      bundle: true,
      format: "cjs",
      platform: "node",
      target: "node22",
      external: ["piscina"],
      logLevel: "error",
      plugins: [
        {
          name: "worker-addresses",
          setup({ onLoad }) {
            onLoad({ filter: /\.ts$/ }, async (file) => ({
              loader: "ts",
              contents: (await readFile(file.path, "utf8")).replace(workerUrl, (_, reference: string) =>
                bundled(path.join(out, path.basename(reference, ".ts"))),
              ),
            }));
          },
        },
      ],
    });
    const { stdout, stderr } = spawnSync(process.execPath, [path.join(out, "main.cjs")], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual({
      sum: 6,
      apart: 9,
      refused: { kind: "invalid", isKetlineError: true },
    });
  } finally {
    await rm(out, { recursive: true, force: true });
  }
});

const bundled = (file: string): string => `new URL(${JSON.stringify(pathToFileURL(`${file}.cjs`).href)})`;

import { spawnSync } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import manifest from "../../../package.json" with { type: "json" };
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const root = path.dirname(path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url)))));
let elsewhere: Awaited<ReturnType<typeof temporaryDirectory>>;

/** A program's directory: the package as it is published, zod, and nothing else. */
beforeAll(async () => {
  elsewhere = await temporaryDirectory();
  const installed = path.join(elsewhere.path, "node_modules", manifest.name);
  await mkdir(installed, { recursive: true });
  const { name, version, type, exports } = manifest;
  await writeFile(path.join(installed, "package.json"), JSON.stringify({ name, version, type, exports }));
  await symlink(path.join(root, "node_modules/zod"), path.join(elsewhere.path, "node_modules/zod"));
  const out = path.join(installed, "dist/client");
  run([path.join(root, "tools/node22.mjs"), "tools/build-client.ts", "--out", out], root);
});
afterAll(() => elsewhere.remove());

function run(args: readonly string[], cwd: string) {
  const child = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
  expect(child.status, child.stderr).toBe(0);
  return child.stdout;
}

it("is imported from a program that has the package and zod alone", () => {
  const program = `
    import { createMlflowClient } from "ketline/client";
    const fetch = async () => Response.json({ experiment: { experiment_id: "1", name: "flights" } });
    const mlflow = createMlflowClient({ url: "http://mlflow.test", fetch });
    console.log((await mlflow.experiments.get("1")).name);`;
  expect(run(["--input-type=module", "--eval", program], elsewhere.path).trim()).toBe("flights");
});

it("asks for nothing that a browser lacks, and tells its types", async () => {
  const built = path.join(elsewhere.path, "node_modules/ketline/dist/client");
  const code = await readFile(path.join(built, "index.js"), "utf8");
  expect([...code.matchAll(/^import .* from "(.+)";$/gm)].map(([, name]) => name)).toEqual(
    expect.arrayContaining(["zod"]),
  );
  expect(code).not.toMatch(/from "(?!zod")|\brequire\(|\bprocess\.|\bBuffer\b/);
  expect(await readFile(path.join(built, "index.d.ts"), "utf8")).toContain('from "./client.js"');
});

import { execFile } from "node:child_process";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const run = promisify(execFile);
const root = path.dirname(path.dirname(import.meta.dirname));
const launcher = path.join(root, "tools", "node22.mjs");

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
/** Makes any Node.js say that it is an old one. */
let pretend: string;
beforeAll(async () => {
  directory = await temporaryDirectory();
  pretend = path.join(directory.path, "old.cjs");
  await writeFile(pretend, 'Object.defineProperty(process.versions, "node", { value: "20.11.0" });');
});
afterAll(() => directory.remove());

describe("the launcher under an old Node.js", () => {
  it("goes on under the one that the installation brought", async () => {
    const { stdout } = await run(process.execPath, ["--require", pretend, launcher, "vitest", "--version"]);
    expect(stdout).toMatch(/node-v22\.\d+/);
  });

  it("says what to do where there is none", async () => {
    const elsewhere = path.join(directory.path, "tools", "node22.mjs");
    await mkdir(path.dirname(elsewhere));
    await copyFile(launcher, elsewhere);
    const started = run(process.execPath, ["--require", pretend, elsewhere, "server/main.ts"]);
    await expect(started).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Ketline needs Node\.js 22\.18 or newer and this is 20\.11\.0\. .+\n$/),
    });
  });
});

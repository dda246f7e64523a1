import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const script = fileURLToPath(new URL("./scratch.child.ts", import.meta.url));
let root: Awaited<ReturnType<typeof temporaryDirectory>>;
const children: ChildProcess[] = [];
beforeEach(async () => {
  root = await temporaryDirectory();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await root.remove();
});

async function start(what: "hold" | "sweep"): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [script, what], {
    env: { PATH: process.env.PATH, TMPDIR: root.path },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const [said] = await once(createInterface({ input: child.stdout }), "line");
  return { child, said };
}

const swept = async () => Number((await start("sweep")).said);

async function killed(): Promise<string> {
  const { child, said } = await start("hold");
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
  return said;
}

describe("directories for temporary files", () => {
  it("are empty but for their sign, and gone after the work, however it ends", async () => {
    const seen = await inScratchDirectory(async (directory) => {
      expect(await readdir(directory)).toEqual([".alive"]);
      return directory;
    });
    expect(existsSync(seen)).toBe(false);
    let failed = "";
    const failing = inScratchDirectory(async (directory) => {
      failed = directory;
      await writeFile(path.join(directory, "half"), "a");
      throw new Error("in the middle");
    });
    await expect(failing).rejects.toThrow("in the middle");
    expect(existsSync(failed)).toBe(false);
  });

  it("of killed processes go at the next start, those of living ones stay", async () => {
    const left = [await killed(), await killed()];
    const living = await start("hold");
    expect(left.map((directory) => existsSync(directory))).toEqual([true, true]);
    expect(await swept()).toBe(2);
    expect(readdirSync(root.path)).toEqual([path.basename(living.said)]);
    expect(await swept()).toBe(0);
  });

  it("go only with our name, and without a sign only when they are old", async () => {
    for (const name of ["ketline-test-1", "ketline-scratch-new", "ketline-scratch-old", "scratch"]) {
      await mkdir(path.join(root.path, name));
    }
    const old = new Date(Date.now() - 3 * 24 * 3600_000);
    for (const name of ["ketline-test-1", "ketline-scratch-old", "scratch"]) {
      await utimes(path.join(root.path, name), old, old);
    }
    expect(await swept()).toBe(1);
    expect(readdirSync(root.path).toSorted()).toEqual(["ketline-scratch-new", "ketline-test-1", "scratch"]);
  });
});

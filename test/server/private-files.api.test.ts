import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keepPrivate } from "../../shared/private-files.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { addressOf, wholeLife } from "../support/whole-life.ts";

const root = path.dirname(path.dirname(import.meta.dirname));

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
const inside = (name: string) => path.join(directory.path, name);
let left: readonly string[] = [];

const laxOf = async (folder: string): Promise<string[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const lax = await Promise.all(
    [folder, ...entries.map((entry) => path.join(entry.parentPath, entry.name))].map(async (file) => {
      const { mode } = await stat(file);
      return (mode & 0o077) === 0
        ? []
        : [`${(mode & 0o777).toString(8)} ${path.relative(directory.path, file)}`];
    }),
  );
  return lax.flat();
};

// Rights of 0022 are what most machines give; the folder is one that an older version left open.
beforeAll(async () => {
  directory = await temporaryDirectory();
  for (const name of ["home", "tmp", "data", "data/blobs", "data/blobs/data"]) {
    await mkdir(inside(name));
    await chmod(inside(name), 0o755);
  }
  for (const [name, text] of [
    ["data/ketline.db", ""],
    ["data/signing-key", "k".repeat(43)],
  ] as const) {
    await writeFile(inside(name), text);
    await chmod(inside(name), 0o644);
  }
  const before = process.umask(0o022);
  const server = spawn(process.execPath, ["tools/node22.mjs", "server/main.ts"], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: inside("home"),
      TMPDIR: inside("tmp"),
      PORT: "0",
      KETLINE_DATA: inside("data"),
      KETLINE_LOG_LEVEL: "error",
      ORT_DISABLE_TELEMETRY: "1",
    },
  });
  process.umask(before);
  try {
    await wholeLife(await addressOf(server));
    left = [...(await laxOf(inside("data"))), ...(await laxInTmp())];
  } finally {
    const ended = once(server, "exit");
    server.kill("SIGTERM");
    await ended;
  }
}, 180_000);
afterAll(() => directory?.remove());

async function laxInTmp(): Promise<string[]> {
  const folders = (await readdir(inside("tmp"))).filter((name) => name.startsWith("ketline"));
  return (await Promise.all(folders.map((name) => laxOf(inside(`tmp/${name}`))))).flat();
}

describe.skipIf(process.platform === "win32")("what a server keeps", () => {
  it("is for its own user alone, also what was open to others before", () => {
    expect(left).toEqual([]);
  });

  it("may lie in a folder for everybody, which stays one", async () => {
    const shared = inside("shared");
    await mkdir(shared);
    await chmod(shared, 0o1777);
    keepPrivate(shared);
    expect((await stat(shared)).mode & 0o7777).toBe(0o1777);
  });

  it("need not be there yet", () => {
    expect(() => keepPrivate(inside("nothing"))).not.toThrow();
  });
});

import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import SQLite from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

describe("npm run check:data", () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let file: string;
  beforeEach(async () => {
    directory = await temporaryDirectory();
    file = path.join(directory.path, "ketline.db");
  });
  afterEach(() => directory.remove());

  function check(...more: string[]) {
    const { status, stdout } = spawnSync("npm", ["run", "--silent", "check:data", "--", ...more], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, KETLINE_DATABASE: `sqlite:${file}`, KETLINE_DATA: directory.path },
    });
    return { status, stdout };
  }

  function fill(): void {
    const raw = new SQLite(file);
    raw.exec("create table t (x text)");
    const insert = raw.prepare("insert into t values (?)");
    raw.transaction(() => {
      for (let row = 0; row < 500; row++) insert.run(`${row}`.padStart(500, "x"));
    })();
    raw.close();
  }

  it.each([[[]], [["--full"]]])("finds a sound file whole with %j, and changes nothing", async (more) => {
    fill();
    const before = await readFile(file);
    expect(check(...more)).toEqual({ status: 0, stdout: `${file} is whole.\n` });
    expect((await readFile(file)).equals(before)).toBe(true);
  });

  it("names a damaged file, and says what to do", async () => {
    fill();
    const bytes = await readFile(file);
    bytes.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 8192);
    await writeFile(file, bytes);
    const { status, stdout } = check();
    expect(status).toBe(1);
    expect(stdout).toContain(`${file} is damaged: restore it from a backup.`);
  });

  it("names a file that is no database", async () => {
    await writeFile(file, "a text that is long enough to be no SQLite database at all".repeat(200));
    const { status, stdout } = check();
    expect(status).toBe(1);
    expect(stdout).toContain(file);
  });

  it("says which file is missing, and how to name another one", () => {
    const { status, stdout } = check();
    expect(status).toBe(1);
    expect(stdout).toContain(`There is no database ${file}`);
  });
});

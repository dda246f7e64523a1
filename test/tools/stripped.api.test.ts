import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const tools = path.resolve(import.meta.dirname, "../../tools");
let root: string;

beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), "ketline-stripped-"));
  for (const file of ["stripped.mjs", "packages.mjs"])
    cpSync(path.join(tools, file), path.join(root, "tools", file));
  write("package.json", '{ "type": "module" }');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("the loader of our sources", () => {
  it("strips types and keeps the lines and columns of stack traces, also from its cache", () => {
    write(
      "fail.ts",
      'export function fail(reason: string): never {\n  throw new Error(reason);\n}\nfail("no");\n',
    );
    for (const from of ["the source", "the cache"]) {
      const { stderr } = run("fail.ts");
      expect(stderr, from).toContain("fail.ts:2:9");
      expect(stderr, from).toContain("fail.ts:4:1");
    }
  });

  it("notices that a file has changed", () => {
    write("main.ts", 'import { word } from "./parts/word.ts";\nconsole.log(word);\n');
    write("parts/word.ts", 'export const word: string = "before";\n');
    expect(run("main.ts").stdout).toBe("before\n");
    write("parts/word.ts", 'export const word: string = "afterwards";\n');
    expect(run("main.ts").stdout).toBe("afterwards\n");
  });

  it("says which file is missing", () => {
    write("lost.ts", 'import "./nowhere.ts";\n');
    const { status, stderr } = run("lost.ts");
    expect(status).toBe(1);
    expect(stderr).toContain("nowhere.ts");
  });

  it("gives a CommonJS package the names that it has, and one instance to all who load it", () => {
    packageOf("counter", {
      "package.json": '{ "main": "index.js" }',
      "index.js": "exports.count = 0; exports.up = () => ++exports.count; exports['not-a-name'] = 7;",
    });
    write(
      "counts.ts",
      [
        'import { createRequire } from "node:module";',
        'import counter, { count, up } from "counter";',
        'import * as all from "counter";',
        "up();",
        'const required = createRequire(import.meta.url)("counter");',
        'console.log(count, counter.count, required === counter, all["not-a-name"]);',
      ].join("\n"),
    );
    expect(run("counts.ts").stdout).toBe("0 1 true 7\n");
  });

  it("loads a function as the default of a CommonJS package", () => {
    packageOf("greet", { "package.json": "{}", "index.js": "module.exports = (name) => 'hello ' + name;" });
    write("greets.ts", 'import greet from "greet";\nconsole.log(greet("you"));\n');
    expect(run("greets.ts").stdout).toBe("hello you\n");
  });

  it("loads ES modules of a package, whose folders may be of different kinds", () => {
    packageOf("mixed", {
      "package.json": '{ "type": "module", "exports": "./index.js" }',
      "index.js": 'import old from "./old/index.js";\nexport { typed } from "./typed.js";\nexport { old };\n',
      "typed.js": 'export const typed = "module";\n',
      "old/package.json": '{ "type": "commonjs" }',
      "old/index.js": 'module.exports = "commonjs";\n',
    });
    packageOf("silent", { "package.json": '{ "main": "index.js" }', "index.js": "export default 1;\n" });
    write(
      "mixes.ts",
      'import { old, typed } from "mixed";\nimport one from "silent";\nconsole.log(old, typed, one);\n',
    );
    expect(run("mixes.ts").stdout).toBe("commonjs module 1\n");
  });

  it("fails with the error of a package that fails to load", () => {
    packageOf("broken", {
      "package.json": "{}",
      "index.js": "throw new Error('this machine has no such thing');",
    });
    write("tries.ts", 'await import("broken").catch((error: Error) => console.log(error.message));\n');
    expect(run("tries.ts").stdout).toBe("this machine has no such thing\n");
  });

  it("serves worker threads too", () => {
    write("thread.ts", 'const text: string = "from a thread";\nconsole.log(text);\n');
    write(
      "threads.ts",
      'import { Worker } from "node:worker_threads";\nnew Worker(new URL("./thread.ts", import.meta.url));\n',
    );
    expect(run("threads.ts").stdout).toBe("from a thread\n");
  });
});

function write(name: string, text: string): void {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function packageOf(name: string, files: Readonly<Record<string, string>>): void {
  for (const [file, text] of Object.entries(files)) write(`node_modules/${name}/${file}`, text);
}

function run(file: string) {
  const loader = path.join(root, "tools", "stripped.mjs");
  return spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--import", loader, path.join(root, file)],
    { encoding: "utf8", timeout: 30_000 },
  );
}

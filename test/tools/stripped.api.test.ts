import { spawnSync } from "node:child_process";
import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const tools = path.resolve(import.meta.dirname, "../../tools");
let root: string;

beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), "ketline-stripped-"));
  for (const file of ["stripped.mjs", "packages.mjs", "joined.mjs"])
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

describe("a package of many modules", () => {
  const kysely = (version: string, word: string) => ({
    "package.json": JSON.stringify({ type: "module", version, exports: "./index.js" }),
    "index.js": 'export { word } from "./word.js";\n',
    "word.js": `export const word = "${word}";\n`,
  });
  const joinedFiles = (name = "kysely") =>
    globSync(`node_modules/.cache/ketline/joined/${name}-*/*.mjs`, { cwd: root });

  beforeAll(() => {
    write("asks.ts", 'import { word } from "kysely";\nconsole.log(word);\n');
  });

  it("is loaded as it is where there is no esbuild", () => {
    packageOf("kysely", kysely("1.0.0", "first"));
    expect(run("asks.ts").stdout).toBe("first\n");
    expect(joinedFiles()).toEqual([]);
  });

  it("is joined into one file where there is, which is kept", () => {
    symlinkSync(path.resolve(tools, "../node_modules/esbuild"), path.join(root, "node_modules", "esbuild"));
    for (let start = 0; start < 2; start++) expect(run("asks.ts").stdout).toBe("first\n");
    expect(joinedFiles()).toHaveLength(1);
    writeFileSync(path.join(root, joinedFiles()[0]!), 'export const word = "kept";');
    expect(run("asks.ts").stdout).toBe("kept\n");
  });

  it("is joined again when one of its modules has changed", () => {
    packageOf("kysely", kysely("1.0.0", "mended here"));
    expect(run("asks.ts").stdout).toBe("mended here\n");
  });

  it("is joined again when the file is gone", () => {
    for (const file of joinedFiles()) rmSync(path.join(root, file));
    expect(run("asks.ts").stdout).toBe("mended here\n");
  });

  it("is joined again for another version, though npm gives all versions' files the same time", () => {
    packageOf("kysely", kysely("1.0.1", "one"));
    expect(run("asks.ts").stdout).toBe("one\n");
    packageOf("kysely", kysely("1.0.2", "two"));
    expect(run("asks.ts").stdout).toBe("two\n");
    const texts = joinedFiles().map((file) => readFileSync(path.join(root, file), "utf8"));
    expect(texts.filter((text) => text.includes('"two"'))).toHaveLength(1);
  });

  it("is joined again in a copy of the tree, whose packages may be others", () => {
    const copy = mkdtempSync(path.join(tmpdir(), "ketline-stripped-copy-"));
    try {
      cpSync(root, copy, { recursive: true, preserveTimestamps: true });
      packageOf("kysely", kysely("2.0.0", "of the copy"), copy);
      expect(run("asks.ts", copy).stdout).toBe("of the copy\n");
      expect(run("asks.ts").stdout).toBe("two\n");
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });

  it("shares its modules with the entries that are joined with it", () => {
    packageOf("@bufbuild/protobuf", {
      "package.json":
        '{ "type": "module", "exports": { ".": "./index.js", "./codegenv2": "./codegenv2.js" } }',
      "state.js": "export const state = { count: 0 };\n",
      "index.js": 'export { state } from "./state.js";\n',
      "codegenv2.js": 'import { state } from "./state.js";\nexport const up = () => ++state.count;\n',
    });
    write(
      "shares.ts",
      'import { state } from "@bufbuild/protobuf";\nimport { up } from "@bufbuild/protobuf/codegenv2";\nup();\nconsole.log(state.count);\n',
    );
    expect(run("shares.ts").stdout).toBe("1\n");
    expect(joinedFiles("@bufbuild-protobuf")).toHaveLength(3);
    rmSync(path.join(root, joinedFiles("@bufbuild-protobuf").find((file) => file.endsWith("0.mjs"))!));
    expect(run("shares.ts").stdout).toBe("1\n");
  });
});

function write(name: string, text: string, tree = root): void {
  const file = path.join(tree, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function packageOf(name: string, files: Readonly<Record<string, string>>, tree = root): void {
  for (const [file, text] of Object.entries(files)) {
    write(`node_modules/${name}/${file}`, text, tree);
    const packed = new Date("1985-10-26T08:15:00Z");
    utimesSync(path.join(tree, "node_modules", name, file), packed, packed);
  }
}

function run(file: string, tree = root) {
  const loader = path.join(tree, "tools", "stripped.mjs");
  return spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--import", loader, path.join(tree, file)],
    { encoding: "utf8", timeout: 30_000 },
  );
}

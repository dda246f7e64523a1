import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { addressOf, wholeLife } from "../support/whole-life.ts";

const root = path.dirname(path.dirname(import.meta.dirname));
const hasStrace = spawnSync("strace", ["-f", "-o", "/dev/null", "true"]).status === 0;
if (!hasStrace) {
  const said =
    "strace is not there, or may not trace: what the server opens and whom it calls is not looked at.";
  if (process.env.CI !== undefined && process.platform === "linux") throw new Error(said);
  console.warn(`${said} These tests are skipped.`);
}

/** What a process asked of the kernel, one call a line. */
let calls: readonly string[] = [];
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
const inside = (name: string) => path.join(directory.path, name);

// A server as `npm start` makes it, in an environment that asks ONNX Runtime to report, through a whole life: DuckDB
// reads a file, a model is fitted and held against ONNX Runtime, served, and the Q# compiler runs a program.
beforeAll(async () => {
  if (!hasStrace) return;
  directory = await temporaryDirectory();
  for (const name of ["home", "tmp", "trace", "data"]) await mkdir(inside(name));
  const tracing = [
    "-f",
    "--seccomp-bpf",
    "-ff",
    "-o",
    inside("trace/calls"),
    "-s",
    "200",
    "-e",
    "trace=%network,%file",
  ];
  const server = spawn("strace", [...tracing, process.execPath, "tools/node22.mjs", "server/main.ts"], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
    // A group of its own: strace keeps a signal to itself, so it is the server that is told to stop.
    detached: true,
    env: {
      PATH: process.env.PATH,
      HOME: inside("home"),
      TMPDIR: inside("tmp"),
      PORT: "0",
      KETLINE_DATA: inside("data"),
      KETLINE_LOG_LEVEL: "error",
      ORT_DISABLE_TELEMETRY: "0",
    },
  });
  try {
    await wholeLife(await addressOf(server));
  } finally {
    const ended = once(server, "exit");
    process.kill(-(server.pid ?? 0), "SIGTERM");
    await ended;
  }
  const files = await readdir(inside("trace"));
  const texts = await Promise.all(files.map((file) => readFile(inside(`trace/${file}`), "utf8")));
  calls = texts.flatMap((text) => text.split("\n"));
}, 180_000);
afterAll(() => directory?.remove());

describe.skipIf(!hasStrace)("a server that was asked for nothing of the kind", () => {
  it("loaded DuckDB, ONNX Runtime and the Q# compiler, whose silence is looked at here", () => {
    for (const library of ["libduckdb.so", "libonnxruntime.so", "qsc_wasm_bg.wasm"]) {
      expect(calls.filter((call) => call.includes(library)).length, library).toBeGreaterThan(0);
    }
  });

  it("connects to nobody but this machine, and looks up no name", () => {
    const addressed = calls.filter((call) =>
      /^(connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_INET/.test(call),
    );
    const beyond = addressed.filter(
      (call) => !/inet_addr\("127\.|inet_pton\(AF_INET6, "::1"/.test(call) || /htons\(53\)/.test(call),
    );
    expect(beyond).toEqual([]);
  });

  it("writes to its data folder, the temporary directory and its own caches alone", () => {
    const own = [directory.path, path.join(root, "node_modules", ".cache"), "/dev/", "/proc/"];
    const changed = calls.flatMap((call) => {
      const [, name = "", text = ""] = /^(\w+)\((.*)$/.exec(call) ?? [];
      if (/ = -1 /.test(text) || !isChange(name, text)) return [];
      return [...text.matchAll(/"([^"]*)"/g)].map(([, file = ""]) => path.resolve(root, file));
    });
    expect(changed.length).toBeGreaterThan(0);
    expect(changed.filter((file) => !own.some((place) => file.startsWith(place)))).toEqual([]);
  });

  it("leaves nothing in the home directory, and no log in the temporary one", async () => {
    expect(await readdir(inside("home"))).toEqual([]);
    expect((await readdir(inside("tmp"))).filter((name) => !name.startsWith("ketline"))).toEqual([]);
  });
});

const changing = /^(creat|mkdir|mkdirat|rename|renameat|renameat2|link|linkat|symlink|symlinkat|truncate)$/;

function isChange(name: string, text: string): boolean {
  return changing.test(name) || (/^open(at)?$/.test(name) && /O_WRONLY|O_RDWR|O_CREAT/.test(text));
}

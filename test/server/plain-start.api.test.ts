import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { expect, it } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { addressOf, wholeLife } from "../support/whole-life.ts";

const root = path.dirname(path.dirname(import.meta.dirname));

it.each<[string, readonly string[], Readonly<Record<string, string>>]>([
  ["plain `node server/main.ts`", ["server/main.ts"], {}],
  ["KETLINE_LOADER=plain", ["tools/node22.mjs", "server/main.ts"], { KETLINE_LOADER: "plain" }],
])(
  "a server started by %s lives, and so do its threads and processes",
  async (_, args, env) => {
    const directory = await temporaryDirectory();
    const server = spawn(process.execPath, [...args], {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: process.env.PATH,
        PORT: "0",
        KETLINE_DATA: path.join(directory.path, "data"),
        KETLINE_LOG_LEVEL: "error",
        ORT_DISABLE_TELEMETRY: "1",
        ...env,
      },
    });
    const ended = once(server, "exit");
    try {
      await wholeLife(await addressOf(server));
    } finally {
      server.kill("SIGTERM");
      await ended;
      await directory.remove();
    }
    expect(server.exitCode).toBe(0);
  },
  120_000,
);

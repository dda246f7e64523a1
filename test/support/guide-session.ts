import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { type ServerProcess, startServerProcess } from "../durability/server-process.ts";
import { type GuideBlock, outputDiffers } from "./guides.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const root = path.dirname(path.dirname(import.meta.dirname));
const maxBlockMs = 120_000;

/** What a reader has: a checkout with an empty data folder, `npm start`, one shell, and one Python where there is one. */
export interface GuideSession {
  /** @returns what it printed. @throws Error when it ends otherwise than the page says */
  run(block: GuideBlock): Promise<string>;
  close(): Promise<void>;
}

/** Whether the commands of the guides can be run here; said aloud when not, and a failure in CI. */
export function hasCurl(): boolean {
  if (["curl", "bash"].every((name) => spawnSync(name, ["--version"]).status === 0)) return true;
  const message = "The commands of docs/guides are SKIPPED: they need bash and curl.";
  if (process.env.CI === "true") throw new Error(message);
  console.warn(message);
  return false;
}

/** Runs blocks of a page in order. @throws Error that names the line which does not keep its word */
export async function runGuide(
  name: string,
  blocks: readonly GuideBlock[],
  options: { readonly python?: string } = {},
): Promise<void> {
  const session = await openGuideSession(options);
  try {
    for (const block of blocks) {
      const at = `docs/guides/${name}.md, line ${block.line}`;
      const printed = await session.run(block).catch((error: Error) => {
        throw new Error(`${at}: ${error.message}`);
      });
      const differs = block.output === undefined ? undefined : outputDiffers(block.output, printed);
      if (differs !== undefined) throw new Error(`${at}: ${differs}`);
    }
  } finally {
    await session.close();
  }
}

/**
 * Everything of a page runs in one shell and one Python, in order, so that variables and files are there for what
 * follows. Addresses on the page are those of `npm start`; here they lead to free ports. A status of 400 or more fails
 * a `curl`, though pages do not say so.
 */
export async function openGuideSession(options: { readonly python?: string } = {}): Promise<GuideSession> {
  const directory = await temporaryDirectory();
  const checkout = path.join(directory.path, "ketline");
  const data = path.join(checkout, ".ketline");
  await mkdir(checkout);
  for (const name of await readdir(root)) {
    if (!name.startsWith(".")) await symlink(path.join(root, name), path.join(checkout, name));
  }
  await writeFile(path.join(directory.path, ".curlrc"), "silent\nshow-error\nfail-with-body\n");
  const server: ServerProcess = await startServerProcess(data);
  // A page may start a second server, beside the first or in its place.
  const second = await freePort();
  const here = (text: string) =>
    text
      .replaceAll(/http:\/\/(127\.0\.0\.1|localhost):7071/g, server.url)
      .replaceAll(/\b7072\b/g, String(second));
  const env = {
    PATH: [path.dirname(process.execPath), process.env.PATH].join(path.delimiter),
    HOME: directory.path,
    CURL_HOME: directory.path,
    KETLINE_URL: server.url,
    KETLINE_LOG_LEVEL: "error",
    PYTHONUNBUFFERED: "1",
    MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0",
    MLFLOW_DISABLE_TELEMETRY: "true",
  };
  const children: Partial<Record<GuideBlock["language"], ChildProcess>> = {};
  const commands = {
    sh: ["bash", ["--norc", "--noprofile"]],
    python: [options.python ?? "python3", [path.join(root, "test/clients/guide_session.py")]],
  } as const;
  let count = 0;

  function childOf(language: GuideBlock["language"]): ChildProcess {
    const [command, args] = commands[language];
    children[language] ??= spawn(command, args, {
      cwd: checkout,
      env,
      stdio: ["pipe", "pipe", "inherit"],
      detached: true, // a group of its own, so that what a page leaves running ends with it
    });
    return children[language];
  }

  return {
    async run({ language, code, fails }) {
      const child = childOf(language);
      const file = path.join(directory.path, `block-${++count}`);
      await writeFile(file, `${here(code)}\n`);
      const line =
        language === "python"
          ? `${file}\n`
          : // In the shell itself, where a failed command ends a block at once, as `set -e` would.
            `trap 'kept=$?; trap - ERR; return $kept 2>/dev/null' ERR; set -o pipefail
             source ${file} </dev/null >${file}.out 2>${file}.err; code=$?; trap - ERR; echo $code\n`;
      const exitCode = await answerOf(child, line, file);
      const [printed, complained] = await Promise.all(
        [".out", ".err"].map((ending) => readFile(file + ending, "utf8").catch(() => "")),
      );
      const said = `${printed}\n${complained}`;
      if (fails === (exitCode === 0)) throw new Error(`It ended with ${exitCode}:\n${said}`);
      return printed ?? "";
    },
    async close() {
      for (const child of Object.values(children)) {
        if (child.pid === undefined) continue;
        try {
          process.kill(-child.pid, "SIGKILL");
        } catch {
          // gone already
        }
      }
      if (server.ended() === undefined) await server.stop();
      await directory.remove();
    },
  };
}

async function answerOf(child: ChildProcess, line: string, file: string): Promise<number> {
  const waiting = new AbortController();
  const limit = setTimeout(() => waiting.abort(), maxBlockMs);
  let answer: unknown;
  try {
    child.stdin?.write(line);
    [answer] = await Promise.race([
      once(child.stdout!, "data", { signal: waiting.signal }),
      once(child, "exit", { signal: waiting.signal }).then(([code]) => [code ?? 1]),
    ]);
  } catch {
    const so = await readFile(`${file}.out`, "utf8").catch(() => "");
    throw new Error(`It took more than ${maxBlockMs / 1000} s. So far it printed:\n${so}`);
  } finally {
    clearTimeout(limit);
    waiting.abort();
  }
  return exitCodeIn(String(answer));
}

/** @throws Error when something else has spoken where the answer was expected */
function exitCodeIn(answer: string): number {
  if (!/^\d+\s*$/.test(answer)) throw new Error(`This is no exit code: ${answer}`);
  return Number(answer);
}

async function freePort(): Promise<number> {
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const address = holder.address();
  await new Promise((resolve) => holder.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import { exitCodes } from "../../shared/exit-codes.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

// node tools/node22.mjs test/durability/faults.ts [--each 50]
// A library under the server lets each of the first writes and syncs of the database, and of the files, fail in turn
// (EIO), and then every write (a full disk, a file system that became read-only). Nothing acknowledged may be missing,
// nothing refused may have been done, /health must say it, and each start must succeed by itself.

const { values } = parseArgs({ options: { each: { type: "string", default: "50" } } });
const each = Number(values.each);
const EIO = 5;
const ENOSPC = 28;
const EROFS = 30;

/** What the server said to one write; `silent` may have been done or not. */
type Said = "acknowledged" | "refused" | "silent";
interface Write {
  readonly kind: "run" | "artifact";
  readonly name: string;
  readonly said: Said;
}

const data = await temporaryDirectory();
const control = path.join(data.path, "control");
const counts = path.join(data.path, "counts");
const library = path.join(data.path, "failing-disk.so");
const home = path.join(data.path, "home");
const writes: Write[] = [];
const wrong: string[] = [];
const totals = { faults: 0, ended: 0, answered5xx: 0, starts: 0 };
let server: ServerProcess | undefined;
let serial = 0;

if (!(await build())) process.exit(process.env.CI === "true" ? 1 : 0);
try {
  await set("n");
  await start("ketline.db");
  for (const [place, part] of [
    ["database", "ketline.db"],
    ["files", "/blobs"],
  ] as const) {
    if (server !== undefined) await stop();
    for (const calls of ["s", "w"] as const) {
      const before = totals.faults;
      for (let turn = 1; turn <= each; turn++) await failOnce(part, calls, turn);
      console.log(`${place}: ${totals.faults - before} ${calls === "s" ? "syncs" : "writes"} failed in turn`);
    }
    for (const [name, code, status] of [
      ["a full disk", ENOSPC, 507],
      ["a read-only file system", EROFS, 503],
    ] as const) {
      await failAll(part, place === "database" ? "run" : "artifact", name, code, status);
    }
  }
  await stop();
  await start("nothing");
  const { lost, applied } = await verify();
  await stop();
  for (const sentence of [...wrong, ...lost, ...applied].slice(0, 50)) console.error(sentence);
  const said = (which: Said) => writes.filter(({ said }) => said === which).length;
  console.log(
    `${writes.length} writes: ${said("acknowledged")} acknowledged, ${said("refused")} refused, ${said("silent")} without an answer; ` +
      `${totals.starts} starts, ${totals.ended} ended with ${exitCodes.logLost}`,
  );
  console.log(
    `${totals.faults} faults, ${lost.length} acknowledged lost, ${applied.length} refused but applied, ${wrong.length} wrong words`,
  );
  process.exitCode = lost.length + applied.length + wrong.length === 0 ? 0 : 1;
} finally {
  await server?.kill();
  if (process.exitCode === 0) await data.remove();
  else console.error(`The data stays in ${data.path}.`);
}

async function build(): Promise<boolean> {
  const source = path.join(import.meta.dirname, "failing-disk.c");
  const arguments_ = ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"];
  try {
    await promisify(execFile)("cc", arguments_);
    return true;
  } catch (error) {
    console.error(
      `SKIPPED: no C compiler builds test/durability/failing-disk.c (${String(error).split("\n")[0]}).`,
    );
    return false;
  }
}

/** @param line see failing-disk.c */
async function set(line: string): Promise<void> {
  await writeFile(control, line);
}

async function start(part: string): Promise<void> {
  totals.starts++;
  server = await startServerProcess(home, {
    env: {
      LD_PRELOAD: library,
      FAIL_CONTROL: control,
      FAIL_COUNTS: counts,
      FAIL_PATH: part,
      KETLINE_LOG_LEVEL: "silent",
    },
  });
}

async function stop(): Promise<void> {
  await server?.stop();
  server = undefined;
}

/** Writes until the fault was met, then sees that all is well again, in this process or the next. */
async function failOnce(part: string, calls: "s" | "w", turn: number): Promise<void> {
  if (server === undefined) await start(part);
  await writeFile(counts, "0 0\n");
  // A turn of its own, also where the numbers are those of the last one.
  await set(`${calls} ${turn} 1 ${EIO} ${++serial}`);
  for (let sent = 0; sent < 4 * turn + 10; sent++) {
    const said = await write(part === "/blobs" || sent % 3 === 2 ? "artifact" : "run");
    if (said === "silent" || (await failures()) > 0) break;
  }
  const met = await failures();
  totals.faults += met;
  if (met === 0) wrong.push(`${part}: no call ${turn} of kind ${calls} came`);
  await set("n");
  await settle(`${part} ${calls} ${turn}`);
}

async function failures(): Promise<number> {
  return Number((await readFile(counts, "utf8")).split(" ")[1] ?? 0);
}

/** A process that still answers is well again; one that ended, ended with its code. */
async function settle(when: string): Promise<void> {
  if (server === undefined) return;
  const untilMs = performance.now() + 10_000;
  for (;;) {
    const ended = server.ended();
    if (ended !== undefined) {
      if (ended !== exitCodes.logLost) wrong.push(`${when}: the server ended with ${ended}`);
      totals.ended++;
      server = undefined;
      return;
    }
    if ((await health()) === 200) return;
    if (performance.now() > untilMs) {
      wrong.push(`${when}: /health is not well again`);
      return;
    }
  }
}

async function failAll(
  part: string,
  kind: Write["kind"],
  name: string,
  code: number,
  status: number,
): Promise<void> {
  if (server === undefined) await start(part);
  await set(`w 1 0 ${code} ${++serial}`);
  const statuses = new Set<number | undefined>();
  for (let sent = 0; sent < 10; sent++) {
    await write(kind, (answered) => statuses.add(answered));
    totals.faults++;
  }
  const state = await health();
  if (state !== 503) wrong.push(`${part}, ${name}: /health is ${state}`);
  if ([...statuses].join() !== String(status))
    wrong.push(`${part}, ${name}: answered ${[...statuses].join()}`);
  await set("n");
  await settle(`${part} after ${name}`);
  if ((await write(kind)) !== "acknowledged") wrong.push(`${part}: refuses after ${name}`);
  console.log(`${part}: ${name} answered ${[...statuses].join()}, /health ${state}, then well again`);
}

async function health(): Promise<number | undefined> {
  return fetch(`${server?.url}/health`).then(
    async (answer) => {
      await answer.text();
      return answer.status;
    },
    () => undefined,
  );
}

async function write(
  kind: Write["kind"],
  see: (status: number | undefined) => void = () => undefined,
): Promise<Said> {
  const name = `${kind}-${writes.length}`;
  const request =
    kind === "run"
      ? ["POST", "/api/2.0/mlflow/runs/create", JSON.stringify({ experiment_id: "0", run_name: name })]
      : ["PUT", artifactPath(name), `content of ${name}`];
  const [method = "", address = "", body = ""] = request;
  const headers = { "content-type": kind === "run" ? "application/json" : "application/octet-stream" };
  const status = await fetch(`${server?.url}${address}`, { method, body, headers }).then(
    async (answer) => {
      await answer.text();
      return answer.status;
    },
    () => undefined,
  );
  see(status);
  const said = status === undefined ? "silent" : status < 300 ? "acknowledged" : "refused";
  if (status !== undefined && status >= 300 && ![503, 507].includes(status))
    wrong.push(`${name} was answered ${status}`);
  writes.push({ kind, name, said });
  return said;
}

function artifactPath(name: string): string {
  return `/api/2.0/mlflow-artifacts/artifacts/0/faults/${name}.txt`;
}

/** Compares what was said with what is there, after a start. */
async function verify(): Promise<{ lost: string[]; applied: string[] }> {
  const there = await runNames();
  const lost: string[] = [];
  const applied: string[] = [];
  for (const { kind, name, said } of writes) {
    const isThere =
      kind === "run" ? there.has(name) : (await contentOf(artifactPath(name))) === `content of ${name}`;
    if (said === "acknowledged" && !isThere) lost.push(`lost: ${name}`);
    if (said === "refused" && isThere) applied.push(`refused but applied: ${name}`);
  }
  return { lost, applied };
}

async function contentOf(address: string): Promise<string | undefined> {
  const answer = await fetch(`${server?.url}${address}`);
  const text = await answer.text();
  return answer.ok ? text : undefined;
}

async function runNames(): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  let token: string | undefined;
  do {
    const answer = await fetch(`${server?.url}/api/2.0/mlflow/runs/search`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ experiment_ids: ["0"], max_results: 1000, page_token: token }),
    });
    const page = (await answer.json()) as {
      runs?: { info: { run_name: string } }[];
      next_page_token?: string;
    };
    for (const run of page.runs ?? []) names.add(run.info.run_name);
    token = page.next_page_token;
  } while (token !== undefined && token !== "");
  return names;
}

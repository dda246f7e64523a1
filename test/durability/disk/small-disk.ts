import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { type ServerProcess, startServerProcess } from "../server-process.ts";

// node tools/node22.mjs test/durability/disk/small-disk.ts [--mib 24 --rounds 3]
// The server over a file system of a few megabytes, which clients fill and which is freed again: while it runs, over a stop,
// and over a kill. Full is 507 and /health 503, freed is well again; nothing acknowledged is lost, nothing refused was done.

const { values } = parseArgs({
  options: { mib: { type: "string", default: "24" }, rounds: { type: "string", default: "3" } },
});
const sizeMiB = Number(values.mib);
const rounds = Number(values.rounds);
const ballastMiB = Math.floor(sizeMiB / 3);
const wellWithinMs = 5_000;

interface Write {
  readonly kind: "run" | "artifact";
  readonly name: string;
  readonly content: string;
  /** Undefined when no answer came. */
  readonly status: number | undefined;
}

const place = await temporaryDirectory();
const disk = path.join(place.path, "disk");
const data = path.join(disk, "data");
const ballast = path.join(disk, "ballast");
const writes: Write[] = [];
const wrong: string[] = [];
let server: ServerProcess | undefined;
let serial = 0;
if (!(await mount())) {
  // Also in CI, whose containers may not be allowed to.
  await place.remove();
  process.exit(0);
}
try {
  for (let round = 1; round <= rounds; round++) {
    await addBallast();
    await start();
    await fill(`round ${round}`);
    // Freed while it runs.
    await rm(ballast);
    await becomesWell(`round ${round}, freed`);
    // Full again, and ended in the middle of it: in good order, and not.
    await fillBesides();
    await writeAll(`round ${round}, full again`);
    if (round % 2 === 1) await server?.stop();
    else await server?.kill();
    server = undefined;
    await removeFiller();
    await start();
    await becomesWell(`round ${round}, after the restart`);
    wrong.push(...(await verify()));
    await stop();
    console.log(`round ${round}: ${summary()}, ${wrong.length} wrong`);
  }
} finally {
  await server?.kill();
  execFileSync("umount", [disk]);
  await place.remove();
}
for (const sentence of wrong.slice(0, 40)) console.error(sentence);
console.log(`a disk of ${sizeMiB} MiB: ${summary()}; ${wrong.length} wrong`);
process.exitCode = wrong.length === 0 ? 0 : 1;

async function mount(): Promise<boolean> {
  await mkdir(disk);
  try {
    if (process.platform !== "linux" || process.getuid?.() !== 0) throw new Error("that takes root on Linux");
    const options = ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", disk];
    execFileSync("mount", options, { stdio: ["ignore", "ignore", "pipe"] });
    return true;
  } catch (error) {
    console.error(
      `SKIPPED: no file system of a few megabytes can be mounted (${String(error).split("\n")[0]}).`,
    );
    return false;
  }
}

async function start(): Promise<void> {
  server = await startServerProcess(data, { env: { KETLINE_LOG_LEVEL: "silent" } });
}

async function stop(): Promise<void> {
  await server?.stop();
  server = undefined;
}

/** What an operator can free. */
async function addBallast(): Promise<void> {
  await writeFile(ballast, Buffer.alloc(ballastMiB * 1024 ** 2));
}

/** Takes the rest of the room from outside, to the last byte. */
async function fillBesides(): Promise<void> {
  for (let size = 1024 ** 2; size >= 512; ) {
    try {
      await writeFile(path.join(disk, `filler-${serial++}`), Buffer.alloc(size));
    } catch {
      size = Math.floor(size / 2);
    }
  }
}

async function removeFiller(): Promise<void> {
  for (const name of await readdir(disk)) if (name.startsWith("filler-")) await rm(path.join(disk, name));
}

/** Writes until both kinds are refused, and goes on for a while. */
async function fill(when: string): Promise<void> {
  const refused = { run: 0, artifact: 0 };
  for (let sent = 0; sent < 5_000 && Math.min(refused.run, refused.artifact) < 10; sent++) {
    const kind = sent % 2 === 0 ? "run" : "artifact";
    const written = await Promise.all([write(kind, when), write(kind, when), write(kind, when)]);
    refused[kind] += written.filter(({ status }) => status === 507).length;
  }
  if (refused.artifact < 10) wrong.push(`${when}: the disk was not full after 15,000 writes`);
  await isFull(when);
}

async function writeAll(when: string): Promise<void> {
  for (let sent = 0; sent < 20; sent++) await write(sent % 2 === 0 ? "run" : "artifact", when);
  await isFull(when);
}

async function isFull(when: string): Promise<void> {
  const { status, retryAfter } = await health();
  if (status !== 503) wrong.push(`${when}: /health is ${status} on a full disk`);
  else if (retryAfter === null) wrong.push(`${when}: /health has no Retry-After`);
}

async function becomesWell(when: string): Promise<void> {
  const untilMs = performance.now() + wellWithinMs;
  for (;;) {
    const written = [await write("run", when), await write("artifact", when)];
    const state = await health();
    if (written.every(({ status }) => status !== undefined && status < 300) && state.status === 200) return;
    if (performance.now() > untilMs) {
      wrong.push(`${when}: ${written.map(({ status }) => status).join(", ")}, /health ${state.status}`);
      return;
    }
    await sleep(100);
  }
}

async function health(): Promise<{ status: number | undefined; retryAfter: string | null }> {
  try {
    const answer = await fetch(`${server?.url}/health`);
    await answer.text();
    return { status: answer.status, retryAfter: answer.headers.get("retry-after") };
  } catch {
    return { status: undefined, retryAfter: null };
  }
}

async function write(kind: Write["kind"], when: string): Promise<Write> {
  const name = `${kind}-${serial++}`;
  // Of many sizes, so that the last room is met by small writes and large ones.
  const content = createHash("sha256")
    .update(name)
    .digest("hex")
    .repeat(1 + (serial % 7) * (serial % 5) * 40);
  const request =
    kind === "run"
      ? {
          method: "POST",
          path: "/api/2.0/mlflow/runs/create",
          type: "application/json",
          body: JSON.stringify({
            experiment_id: "0",
            run_name: name,
            tags: [{ key: "content", value: content.slice(0, 4_000) }],
          }),
        }
      : { method: "PUT", path: artifactPath(name), type: "application/octet-stream", body: content };
  const status = await fetch(`${server?.url}${request.path}`, {
    method: request.method,
    body: request.body,
    headers: { "content-type": request.type },
  }).then(
    async (answer) => {
      const text = await answer.text();
      if (!answer.ok && answer.status !== 507)
        wrong.push(`${when}: ${name} was answered ${answer.status} ${text}`);
      if (answer.status === 507 && !/full/.test(text)) wrong.push(`${when}: 507 does not say why: ${text}`);
      return answer.status;
    },
    () => undefined,
  );
  if (status === undefined) wrong.push(`${when}: ${name} had no answer (${server?.ending() ?? "it runs"})`);
  const written = { kind, name, content, status };
  writes.push(written);
  return written;
}

function artifactPath(name: string): string {
  return `/api/2.0/mlflow-artifacts/artifacts/0/small/${name}.txt`;
}

async function verify(): Promise<string[]> {
  const found: string[] = [];
  const there = await runNames();
  for (const { kind, name, content, status } of writes) {
    const isThere = kind === "run" ? there.has(name) : (await artifact(name)) === content;
    const isAcknowledged = status !== undefined && status < 300;
    if (isAcknowledged && !isThere) found.push(`lost: ${name}`);
    if (status === 507 && isThere) found.push(`refused but done: ${name}`);
  }
  return found;
}

async function artifact(name: string): Promise<string | undefined> {
  const answer = await fetch(`${server?.url}${artifactPath(name)}`);
  const text = await answer.text();
  return answer.ok ? text : undefined;
}

async function runNames(): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  let page_token: string | undefined;
  do {
    const answer = await fetch(`${server?.url}/api/2.0/mlflow/runs/search`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ experiment_ids: ["0"], max_results: 500, page_token }),
    });
    const page = (await answer.json()) as {
      runs?: { info: { run_name: string } }[];
      next_page_token?: string;
    };
    for (const { info } of page.runs ?? []) names.add(info.run_name);
    page_token = page.next_page_token;
  } while (page_token !== undefined && page_token !== "");
  return names;
}

function summary(): string {
  const count = (match: (status: number | undefined) => boolean) =>
    writes.filter(({ status }) => match(status)).length;
  return `${writes.length} writes, ${count((status) => status !== undefined && status < 300)} acknowledged, ${count((status) => status === 507)} refused`;
}

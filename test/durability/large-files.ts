import { createHash } from "node:crypto";
import { request } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { type Azurite, startAzurite } from "../support/azurite.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { watchMemory } from "./memory.ts";
import { seededBytes } from "./seeded-bytes.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

// node tools/node22.mjs test/durability/large-files.ts [--bytes 5e9 --store file|azurite|both --part-mib 10 --seed 1]
// Sends a large artifact up and down through the server, and again in parts by signed links, over each blob store. What
// comes back must have the SHA-256 of what went, and the server's memory must not grow with the file. Needs twice the
// bytes of free disk; removes all of it.

const { values } = parseArgs({
  options: {
    bytes: { type: "string", default: "5e9" },
    store: { type: "string", default: "both" },
    "part-mib": { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const bytes = Number(values.bytes);
const partBytes = Number(values["part-mib"]) * 1024 ** 2;
const seed = Number(values.seed);
const stores = values.store === "both" ? ["file", "azurite"] : [values.store];
const sendersAtOnce = 4;
const maxGrowthBytes = 100e6;
const maxBytes = 250e6;
const artifacts = "/api/2.0/mlflow-artifacts";

const problems: string[] = [];
console.log(`${megabytes(bytes)} MB in parts of ${megabytes(partBytes)} MB, seed ${seed}`);
for (const store of stores) await tryStore(store);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

async function tryStore(store: string): Promise<void> {
  const data = await temporaryDirectory();
  let azurite: Azurite | undefined;
  let server: ServerProcess | undefined;
  try {
    if (store === "azurite") azurite = await startAzurite(`${data.path}/azurite`);
    server = await startServerProcess(data.path, { env: azurite === undefined ? {} : azureEnv(azurite) });
    await tryServer(store, server);
  } finally {
    await server?.kill();
    await azurite?.[Symbol.asyncDispose]();
    await data.remove();
  }
}

function azureEnv({ blobUrl, connectionString }: Azurite): Record<string, string> {
  return {
    KETLINE_BLOBS: `azure:${blobUrl}/large-files`,
    KETLINE_STORAGE_CONNECTION_STRING: connectionString,
  };
}

async function tryServer(store: string, { url, pid }: ServerProcess): Promise<void> {
  // Idle is what it has after it has done everything once, small: the store's library is loaded by then.
  await upAndDown(url, "warm", 1_000_000);
  await partsUpAndDown(url, "warm", 1_000_000);
  const memory = await watchMemory(pid);
  const idle = await memory.now();
  memory.takePeak();
  let highest = 0;
  const report = (what: string, ms: number) => {
    const peak = memory.takePeak();
    highest = Math.max(highest, peak);
    console.log(
      `${store.padEnd(8)}${what.padEnd(28)}${String(Math.round(bytes / 1e3 / ms)).padStart(6)} MB/s` +
        `${String(megabytes(peak)).padStart(6)} MB peak, ${megabytes(peak - idle)} over idle (${megabytes(idle)})`,
    );
  };
  try {
    await upAndDown(url, "large", bytes, report);
    await partsUpAndDown(url, "large", bytes, report);
  } finally {
    memory.stop();
  }
  if (highest - idle > maxGrowthBytes || highest > maxBytes) {
    problems.push(
      `${store}: the server grew from ${megabytes(idle)} to ${megabytes(highest)} MB; ` +
        `${megabytes(maxGrowthBytes)} more and ${megabytes(maxBytes)} in all are the limits.`,
    );
  }
}

type Report = (what: string, ms: number) => void;

/** One PUT and one GET through the server. */
async function upAndDown(url: string, name: string, size: number, report: Report = () => {}): Promise<void> {
  const path = `${url}${artifacts}/artifacts/0/${name}/plain.bin`;
  const sent = createHash("sha256");
  const upMs = await timed(() => send("PUT", path, 0, size, (chunk) => sent.update(chunk)));
  report("PUT through the server", upMs);
  await download(path, sent.digest("hex"), "GET through the server", report);
  await ask("DELETE", path);
}

/** The same in parts by signed links, some at a time, as MLflow's client does it. */
async function partsUpAndDown(
  url: string,
  name: string,
  size: number,
  report: Report = () => {},
): Promise<void> {
  const directory = `0/${name}/parts`;
  const ms = await timed(async () => {
    const file = { path: "large.bin", num_parts: Math.ceil(size / partBytes) };
    const begun = (await ask("POST", `${url}${artifacts}/mpu/create/${directory}`, file)) as {
      upload_id: string;
      credentials: { url: string; part_number: number }[];
    };
    const parts: { part_number: number; etag: string; url: string }[] = [];
    const rest = begun.credentials.toReversed();
    const senders = Array.from({ length: sendersAtOnce }, async () => {
      for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
        const offset = (part.part_number - 1) * partBytes;
        const etag = await send("PUT", part.url, offset, Math.min(partBytes, size - offset));
        parts.push({ part_number: part.part_number, etag, url: part.url });
      }
    });
    await Promise.all(senders);
    const complete = { path: "large.bin", upload_id: begun.upload_id, parts };
    const completeMs = await timed(() =>
      ask("POST", `${url}${artifacts}/mpu/complete/${directory}`, complete),
    );
    if (name === "large")
      console.log(`        ${file.num_parts} parts made one file in ${Math.round(completeMs)} ms`);
  });
  report("parts by links, completed", ms);
  const hash = createHash("sha256");
  for (const chunk of seededBytes(seed, 0, size)) hash.update(chunk);
  const link = (await ask("GET", `${url}${artifacts}/presigned/${directory}/large.bin`)) as { url: string };
  await download(link.url, hash.digest("hex"), "GET by a link", report);
  await ask("DELETE", `${url}${artifacts}/artifacts/${directory}/large.bin`);
}

async function download(url: string, expected: string, what: string, report: Report): Promise<void> {
  const hash = createHash("sha256");
  let received = 0;
  const ms = await timed(
    () =>
      new Promise<void>((resolve, reject) => {
        const call = request(url, (answer) => {
          answer.on("data", (chunk: Buffer) => {
            received += chunk.byteLength;
            hash.update(chunk);
          });
          answer.on("end", resolve);
          answer.on("error", reject);
        });
        call.on("error", reject);
        call.end();
      }),
  );
  report(what, ms);
  if (hash.digest("hex") !== expected)
    problems.push(`${what}: ${received} bytes came back, and not the same.`);
}

/** @returns the ETag of the answer, or nothing */
async function send(
  method: string,
  url: string,
  offset: number,
  length: number,
  observe: (chunk: Buffer) => void = () => {},
): Promise<string> {
  const call = request(url, { method, headers: { "content-length": length } });
  const answered = new Promise<{ status: number; etag: string; text: string }>((resolve, reject) => {
    call.on("error", reject);
    call.on("response", (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, etag: answer.headers.etag ?? "", text }),
      );
      answer.on("error", reject);
    });
  });
  function* observed() {
    for (const chunk of seededBytes(seed, offset, length)) {
      observe(chunk);
      yield chunk;
    }
  }
  const [{ status, etag, text }] = await Promise.all([answered, pipeline(Readable.from(observed()), call)]);
  if (status >= 300) throw new Error(`${method} ${new URL(url).pathname} answered ${status}: ${text}`);
  return etag;
}

async function ask(method: string, url: string, body?: object): Promise<unknown> {
  const response = await fetch(url, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok)
    throw new Error(`${method} ${new URL(url).pathname} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begunMs = performance.now();
  await work();
  return performance.now() - begunMs;
}

function megabytes(count: number): number {
  return Math.round(count / 1e6);
}

import { readdirSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { encodeModel } from "../../shared/onnx/index.ts";
import { linearModel, tileModel } from "../models/serving/models.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { type HostileInput, type HostileModel, hostileModels } from "./hostile-graphs.ts";
import { watchMemory } from "./memory.ts";
import { startServerProcess } from "./server-process.ts";

// node tools/node22.mjs test/durability/hostile-models.ts [--seconds 20 --connections 16 --attackers 4 --patience 8]
// Good neighbours ask without a pause while models that were built to harm are loaded and asked, each harmlessly first.
// No request of a neighbour may fail, the p99 of the one on many connections stays under three times what it is without
// the others, the server goes on and grows by no more than 200 MB, and the processes of models keep to their limit.

const { values } = parseArgs({
  options: {
    /** Of each of the quiet times before and after. */
    seconds: { type: "string", default: "15" },
    connections: { type: "string", default: "16" },
    attackers: { type: "string", default: "4" },
    /** Seconds after which an attacker goes on without an answer. */
    patience: { type: "string", default: "8" },
    only: { type: "string", default: "" },
  },
});
const connections = Number(values.connections);
const patienceMs = 1000 * Number(values.patience);
const memoryMiB = 1024;
const mebibyte = 1024 ** 2;
const maxGrowthBytes = 200e6;
/** What a process has before it is asked for anything, see `memory-watch.ts`. */
const processBytes = 64 * mebibyte;
const allowedStatuses = new Set([200, 400, 404, 413, 422, 501, 503, 504, 507]);

interface Answer {
  /** 0 when none came. */
  readonly status: number;
  readonly text: string;
  readonly ms: number;
}

interface Tally {
  readonly ms: number[];
  failed: number;
}

const data = await temporaryDirectory();
const server = await startServerProcess(data.path, { env: { KETLINE_MODEL_MEMORY_MIB: String(memoryMiB) } });
const agent = new Agent({ keepAlive: true, maxSockets: 256 });
const breaches: string[] = [];
try {
  const models = hostileModels().filter(({ name }) => name.includes(values.only));
  for (const { name, bytes } of models) await register(name, bytes);
  await register("neighbour", encodeModel(linearModel([2, 3, 4, 5])));
  await register("careful", encodeModel(tileModel()));
  let answers = 0;
  while (answers < 200) {
    await Promise.all([askNeighbour(), askCareful()]);
    answers++;
  }
  const memory = await watchMemory(server.pid);
  const before = await neighbours(() => sleep(1000 * Number(values.seconds)));
  const usualBytes = memory.takePeak();
  const hosts = watchHosts();
  const started = performance.now();
  const during = await neighbours(() => attack(models));
  const attackMs = performance.now() - started;
  hosts.stop();
  const grownBytes = memory.takePeak() - usualBytes;
  memory.stop();
  const after = await neighbours(() => sleep(1000 * Number(values.seconds)));
  judge({ models: models.length, before, during, after, attackMs, grownBytes, hosts });
} finally {
  await server.stop().catch((error: unknown) => breaches.push(`the server ended before: ${error}`));
  agent.destroy();
  await data.remove();
}
process.exit(breaches.length === 0 ? 0 : 1);

interface Findings {
  readonly models: number;
  readonly before: Load;
  readonly during: Load;
  readonly after: Load;
  readonly attackMs: number;
  readonly grownBytes: number;
  readonly hosts: ReturnType<typeof watchHosts>;
}

function judge({ models, before, during, after, attackMs, grownBytes, hosts }: Findings): void {
  for (const [when, { inline, hosted }] of Object.entries({ before, during, after })) {
    console.log(
      `${when.padEnd(6)}: neighbour ${inline.ms.length} requests, ${inline.failed} failed, p50 ${p(inline, 0.5)} ms, ` +
        `p99 ${p(inline, 0.99)} ms; in a process ${hosted.ms.length} requests, ${hosted.failed} failed, p99 ${p(hosted, 0.99)} ms`,
    );
  }
  const failed = during.inline.failed + during.hosted.failed;
  if (failed > 0) breaches.push(`${failed} requests of neighbours failed`);
  // The machine is slower at times by itself: the usual one is the worse of the quiet times.
  const usual = Math.max(p(before.inline, 0.99), p(after.inline, 0.99));
  const ratio = p(during.inline, 0.99) / usual;
  if (!(ratio < 3)) breaches.push(`the neighbour's p99 was ${ratio.toFixed(2)} times its usual one`);
  if (grownBytes > maxGrowthBytes) breaches.push(`the server grew by ${Math.round(grownBytes / 1e6)} MB`);
  const limitBytes = memoryMiB * mebibyte + processBytes;
  if (hosts.peakBytes() > limitBytes) breaches.push(`a process took ${mib(hosts.peakBytes())} MiB`);
  if (hosts.peakSumBytes() > limitBytes + 3 * processBytes)
    breaches.push(`the processes took ${mib(hosts.peakSumBytes())} MiB`);
  for (const breach of breaches) console.error(`breach: ${breach}`);
  console.log(
    `${models} hostile models in ${Math.round(attackMs / 1000)} s: ${failed} failed requests of neighbours, p99 ${ratio.toFixed(2)} times ` +
      `the usual one, server grew by ${Math.round(grownBytes / 1e6)} MB, largest process ${mib(hosts.peakBytes())} MiB, ` +
      `all together ${mib(hosts.peakSumBytes())} MiB of ${memoryMiB}, ${breaches.length} breaches`,
  );
}

async function attack(models: readonly HostileModel[]): Promise<void> {
  const left = [...models];
  const attacker = async () => {
    for (let model = left.shift(); model !== undefined; model = left.shift()) {
      const seen: string[] = [];
      let last = "";
      const { name, harmless, harmful } = model;
      for (const input of [harmless, harmless, harmless, harmless, harmful, harmful]) {
        const answer = await infer(name, input, patienceMs);
        seen.push(`${answer.status || "-"}`);
        last = answer.text.slice(0, 400);
        if (answer.status !== 0 && !allowedStatuses.has(answer.status)) {
          breaches.push(`${name} was answered ${answer.status}: ${answer.text.slice(0, 300)}`);
        }
        if (seen.at(-1) !== "200" && seen.at(-1) === seen.at(-2)) break;
      }
      console.log(`  ${name}: ${seen.join(" ")}${values.only === "" ? "" : ` ${last}`}`);
    }
  };
  await Promise.all(Array.from({ length: Number(values.attackers) }, attacker));
}

interface Load {
  /** Asked over all connections; it runs in the server. */
  readonly inline: Tally;
  /** Asked over two; it runs in a process. */
  readonly hosted: Tally;
}

async function neighbours(meanwhile: () => Promise<void>): Promise<Load> {
  const inline: Tally = { ms: [], failed: 0 };
  const hosted: Tally = { ms: [], failed: 0 };
  let goesOn = true;
  const ask = async (tally: Tally, one: () => Promise<Answer & { isRight: boolean }>) => {
    while (goesOn) {
      const answer = await one();
      tally.ms.push(answer.ms);
      if (answer.isRight) continue;
      tally.failed++;
      if (tally.failed <= 5)
        console.error(`  a neighbour was answered ${answer.status}: ${answer.text.slice(0, 300)}`);
    }
  };
  const clients = [
    ...Array.from({ length: connections }, () => ask(inline, askNeighbour)),
    ...Array.from({ length: 2 }, () => ask(hosted, askCareful)),
  ];
  await meanwhile();
  goesOn = false;
  await Promise.all(clients);
  return { inline, hosted };
}

async function askNeighbour() {
  const answer = await infer("neighbour", { datatype: "FP32", shape: [1, 4], data: [1, 1, 1, 1] }, 60_000);
  return { ...answer, isRight: answer.status === 200 && answer.text.includes("[14]") };
}

async function askCareful() {
  const answer = await infer("careful", { datatype: "FP32", shape: [1, 1], data: [4] }, 60_000);
  return { ...answer, isRight: answer.status === 200 && answer.text.includes("[8]") };
}

function infer(model: string, { datatype, shape, data }: HostileInput, limitMs: number): Promise<Answer> {
  // Whole numbers beyond 2^53 are written as they are.
  const json = `{"inputs":[{"name":"X","datatype":"${datatype}","shape":[${shape}],"data":[${data.join()}]}]}`;
  return send("POST", `/v2/models/${model}/infer`, json, limitMs);
}

async function register(name: string, bytes: Uint8Array): Promise<void> {
  const checked = async (answer: Promise<Answer>) => {
    const { status, text } = await answer;
    if (status !== 200) throw new Error(`${name} cannot be registered: ${status} ${text}`);
  };
  const post = (path: string, body: unknown) =>
    checked(send("POST", `/api/2.0/mlflow/${path}`, JSON.stringify(body), 30_000));
  await checked(send("PUT", `/api/2.0/mlflow-artifacts/artifacts/0/${name}/model.onnx`, bytes, 30_000));
  await post("registered-models/create", { name });
  await post("model-versions/create", { name, source: `mlflow-artifacts:/0/${name}` });
}

function send(method: string, path: string, body: string | Uint8Array, limitMs: number): Promise<Answer> {
  const started = performance.now();
  return new Promise((resolve) => {
    const done = (status: number, text: string) => resolve({ status, text, ms: performance.now() - started });
    const headers = {
      "content-type": typeof body === "string" ? "application/json" : "application/octet-stream",
    };
    const signal = AbortSignal.timeout(limitMs);
    const sent = request(`${server.url}${path}`, { method, agent, headers, signal }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on("data", (piece: Buffer) => pieces.push(piece));
      answer.on("end", () => done(answer.statusCode ?? 0, Buffer.concat(pieces).toString()));
      answer.on("error", (error) => done(0, error.message));
    });
    sent.on("error", (error) => done(0, error.message));
    sent.end(body);
  });
}

/** Memory that the processes of models have of their own. */
function watchHosts() {
  let peakBytes = 0;
  let peakSumBytes = 0;
  const look = () => {
    let sum = 0;
    for (const pid of childrenOf(server.pid)) {
      const status = read(`/proc/${pid}/status`);
      const bytes = 1024 * Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0);
      peakBytes = Math.max(peakBytes, bytes);
      sum += bytes;
    }
    peakSumBytes = Math.max(peakSumBytes, sum);
  };
  const timer = setInterval(look, 50);
  return { peakBytes: () => peakBytes, peakSumBytes: () => peakSumBytes, stop: () => clearInterval(timer) };
}

function childrenOf(pid: number): number[] {
  return tasksOf(pid)
    .flatMap((task) => read(`/proc/${pid}/task/${task}/children`).trim().split(" "))
    .filter((child) => child !== "")
    .map(Number);
}

function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** "" for a process that has ended. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function p({ ms }: Tally, share: number): number {
  const sorted = ms.toSorted((a, b) => a - b);
  return Math.round(10 * (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)) / 10;
}

function mib(bytes: number): number {
  return Math.round(bytes / mebibyte);
}

import { mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { randomSource } from "../../test/support/random.ts";
import { type Access, access, ask, uniform, zipf } from "./access.ts";
import { createHttpClient, each, type HttpClient } from "./http-client.ts";
import { modelOf, nameOf } from "./models.ts";
import { freePort, type Memory, type ServerSettings, startServer, untilReady } from "./server.ts";

// npm run bench -- many-models: a model for each of 6,000 stops in three segments, all at once behind one small server.
// Registers them through the API, then asks them at random while the server with its processes has to stay below a
// limit of memory. Ends with an error when an answer is not the one of its model, the server ends, or the limit is passed.

const { values } = parseArgs({
  options: {
    models: { type: "string", default: "18000" },
    requests: { type: "string", default: "20000" },
    connections: { type: "string", default: "4" },
    /** Memory of all processes in MiB, what they share counted once. */
    limit: { type: "string", default: "256" },
    /** JavaScript heap of the server, in MiB. */
    heap: { type: "string", default: "64" },
    /** KETLINE_MODEL_MEMORY_MIB: what loaded models may take, by the server's estimate. */
    memory: { type: "string", default: "32" },
    hosts: { type: "string", default: "1" },
    starts: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    /** A data directory that is kept: models that it has already are not registered again. */
    data: { type: "string" },
  },
});
const count = Number(values.models);
const limitMiB = Number(values.limit);
const random = randomSource(Number(values.seed)).uniform;

const faults: string[] = [];
let hasHeader = false;
const data = values.data ?? (await mkdtemp(path.join(tmpdir(), "ketline-bench-")));
const settings: ServerSettings = {
  data,
  port: await freePort(),
  heapMiB: Number(values.heap),
  modelMemoryMiB: Number(values.memory),
  hosts: Number(values.hosts),
};
try {
  console.log(
    `${count} models; limit ${limitMiB} MiB; --max-old-space-size=${values.heap}, KETLINE_MODEL_MEMORY_MIB=${values.memory}, ` +
      `KETLINE_MODEL_HOSTS=${values.hosts}; ${cpus().length} × ${cpus()[0]?.model.trim()}, load ${loadavg()[0]?.toFixed(1)}; ` +
      `Node.js ${process.versions.node}; ${new Date().toISOString().slice(0, 10)}; seed ${values.seed}\n`,
  );
  await withServer("registering", async (client) => register(client));
  const starts: { first: number; next: number[] }[] = [];
  for (let start = 0; start < Number(values.starts); start++) starts.push(await firstPredictions());
  reportStarts(starts);
  await withServer("asking", async (client, mark) => {
    const requests = Number(values.requests);
    const connections = Number(values.connections);
    for (const [name, next] of [
      ["Zipf", zipf(count, random)],
      ["uniform", uniform(count, random)],
      ["Zipf again", zipf(count, random)],
    ] as const) {
      mark(name);
      report(name, await access({ client, requests, connections, next, random }));
    }
    // Whatever the server keeps of each model that it was ever asked for, it keeps of all of them after this.
    mark("every model once");
    let asked = 0;
    const next = () => asked++;
    report("every model once", await access({ client, requests: count, connections, next, random }));
  });
} finally {
  if (values.data === undefined) await rm(data, { recursive: true, force: true });
}
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;

async function register(client: HttpClient): Promise<void> {
  const last = await client.send("GET", `/v2/models/${nameOf(count - 1)}`);
  if (last.status === 200) return console.log("They are registered already.");
  const startedMs = performance.now();
  await each(Array(count).keys(), 16, async (index) => {
    const name = nameOf(index);
    const send = async (method: string, at: string, body: Uint8Array | object) => {
      const { status, text } = await client.send(method, at, body);
      if (status !== 200) throw new Error(`${method} ${at}: ${status} ${text}`);
    };
    await send("PUT", `/api/2.0/mlflow-artifacts/artifacts/stops/${name}/model.onnx`, modelOf(index));
    await send("POST", "/api/2.0/mlflow/registered-models/create", { name });
    const source = `mlflow-artifacts:/stops/${name}`;
    await send("POST", "/api/2.0/mlflow/model-versions/create", { name, source });
  });
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(`Registered in ${seconds.toFixed(0)} s, ${Math.round(count / seconds)} models a second.`);
}

/** Milliseconds from the start of the process to a prediction, and of the first predictions of models after it. */
async function firstPredictions(): Promise<{ first: number; next: number[] }> {
  const server = startServer(settings);
  const client = createHttpClient(settings.port, 1);
  try {
    for (;;) {
      const index = Math.floor(random() * count);
      const answer = await ask(client, index, [1, 2, 3, 4]).catch(() => undefined);
      if (answer !== undefined) {
        if (answer.problem !== undefined) faults.push(answer.problem);
        break;
      }
      if (server.ended !== undefined) throw new Error(server.ended);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const first = performance.now() - server.startedMs;
    const next: number[] = [];
    for (let asked = 0; asked < 20; asked++) {
      const { ms, problem } = await ask(client, Math.floor(random() * count), [1, 2, 3, 4]);
      if (problem !== undefined) faults.push(problem);
      next.push(ms);
    }
    return { first, next };
  } finally {
    client.close();
    await server.stop();
  }
}

/** Watches the memory of a server while `work` asks it. */
async function withServer(
  what: string,
  work: (client: HttpClient, mark: (name: string) => void) => Promise<void>,
): Promise<void> {
  const server = startServer(settings);
  const client = createHttpClient(settings.port, 16);
  const samples: Sample[] = [];
  let phase = what;
  const watch = setInterval(() => samples.push({ phase, ...server.memory() }), 250);
  try {
    await untilReady(server, settings.port);
    await work(client, (name) => {
      phase = name;
    });
  } catch (error) {
    faults.push(`${phase}: ${error instanceof Error ? error.message : error}`);
  } finally {
    clearInterval(watch);
    client.close();
    if (server.ended !== undefined) faults.push(server.ended);
    await server.stop();
  }
  reportMemory(samples);
}

interface Sample extends Memory {
  readonly phase: string;
}

function reportMemory(samples: readonly Sample[]): void {
  console.log("\n| resident MiB: server + hosts (shared pages once) | at 1/4 | 1/2 | 3/4 | end | peak |");
  console.log("|---|---:|---:|---:|---:|---:|");
  for (const phase of new Set(samples.map((sample) => sample.phase))) {
    const own = samples.filter((sample) => sample.phase === phase);
    const at = (share: number) => own[Math.min(own.length - 1, Math.floor(share * own.length))];
    const cell = (sample: Sample | undefined) =>
      sample === undefined
        ? ""
        : `${sample.serverMiB.toFixed(0)} + ${sample.hostsMiB.toFixed(0)} (${sample.totalMiB.toFixed(0)})`;
    const peak = own.reduce((best, sample) => (sample.totalMiB > best.totalMiB ? sample : best));
    console.log(
      `| ${phase} | ${[0.25, 0.5, 0.75, 1].map((share) => cell(at(share))).join(" | ")} | ${peak.totalMiB.toFixed(0)} |`,
    );
    if (peak.totalMiB > limitMiB) {
      faults.push(`${phase}: ${peak.totalMiB.toFixed(0)} MiB were in use; the limit is ${limitMiB}.`);
    }
  }
  console.log("");
}

function report(name: string, { hits, misses, wrong, seconds }: Access): void {
  faults.push(...wrong);
  if (!hasHeader) {
    console.log(
      "\n| access | requests | per second | hit rate | hit p50 | p95 | p99 ms | miss p50 | p95 | p99 ms |",
    );
    console.log("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    hasHeader = true;
  }
  const total = hits.length + misses.length;
  const cells = [
    total,
    Math.round(total / seconds),
    `${((100 * hits.length) / total).toFixed(1)} %`,
    ...[hits, misses].flatMap((times) =>
      [0.5, 0.95, 0.99].map((share) => (times.length === 0 ? "–" : quantile(times, share).toFixed(1))),
    ),
  ];
  console.log(`| ${name} | ${cells.join(" | ")} |`);
}

function reportStarts(starts: readonly { readonly first: number; readonly next: readonly number[] }[]): void {
  const ascending = (a: number, b: number) => a - b;
  const first = starts.map((start) => start.first).sort(ascending);
  const next = starts.flatMap((start) => start.next).sort(ascending);
  const row = (what: string, times: readonly number[], aimMs: number) =>
    console.log(
      `| ${what} | ${quantile(times, 0.5).toFixed(0)} | ${times[0]?.toFixed(0)} | ${times.at(-1)?.toFixed(0)} | ${aimMs} |`,
    );
  console.log("\n| ms | median | min | max | aim |\n|---|---:|---:|---:|---:|");
  row("from the start of the process to the first prediction", first, 700);
  row("first prediction of a model that was not loaded", next, 150);
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

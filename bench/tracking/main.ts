import { mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import {
  artifactCalls,
  createRun,
  type Ground,
  metadataCalls,
  mib,
  searchCalls,
  type TimedCall,
} from "./calls.ts";
import { fillExperiment } from "./fill.ts";
import { createHttpClient } from "./http-client.ts";
import { type Server, startKetline, startStock, stockVersion } from "./servers.ts";

// npm run bench -- tracking [--python .venv/bin/python] [--postgres postgres://…/] [--rounds 5] [--runs 1000,5000,20000]
// The same calls to a stock `mlflow server` and to Ketline, in turn, over one kept connection each; with both on SQLite,
// and on PostgreSQL when a server is given on which databases may be made. The Python needs bench/tracking/requirements.txt.

const { values } = parseArgs({
  options: {
    python: { type: "string", default: ".venv/bin/python" },
    postgres: { type: "string" },
    rounds: { type: "string", default: "5" },
    runs: { type: "string", default: "1000,5000,20000" },
    artifacts: { type: "string", default: "1,20,200" },
    "only-ketline": { type: "boolean", default: false },
    "no-sqlite": { type: "boolean", default: false },
  },
});
const numbers = (list: string) =>
  list
    .split(",")
    .filter((item) => item !== "")
    .map(Number);
const rounds = Number(values.rounds);
const python = path.resolve(values.python);
const sizes = numbers(values.runs);

const stock = values["only-ketline"] ? "not asked" : stockVersion(python);
const load = () => loadavg()[0]?.toFixed(1);
console.log(
  `${cpus()[0]?.model.trim()}, ${cpus().length} cores, load ${load()}, Node.js ${process.version}, MLflow ${stock}, ${rounds} rounds`,
);
if (!values["no-sqlite"]) await compare("SQLite");
if (values.postgres !== undefined) await compare("PostgreSQL", values.postgres);

async function compare(title: string, postgres?: string): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), "ketline-bench-"));
  const servers: Server[] = [];
  const databases = postgres === undefined ? undefined : await twoDatabases(postgres);
  try {
    servers.push(await startKetline(`${directory}/ketline`, databases?.ketline));
    if (!values["only-ketline"]) {
      servers.unshift(await startStock(python, await mkdtemp(`${directory}/stock-`), databases?.stock));
    }
    console.log(`\n${title}, load ${load()}\n`);
    for (const server of servers) await largeUpload(server);
    const grounds = new Map<Server, Ground>();
    for (const server of servers) grounds.set(server, await lay(server));
    await checkSame(servers, grounds);
    console.log(`Load ${load()}\n`);
    console.log("| call | stock /s | p50 ms | p95 | Ketline /s | p50 ms | p95 | times faster | less CPU |");
    console.log("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    const calls = [
      ...metadataCalls,
      ...sizes.flatMap(searchCalls),
      ...numbers(values.artifacts).flatMap(artifactCalls),
    ];
    for (const call of calls) console.log(row(call.name, await timed(call, servers, grounds)));
    await together(servers, grounds);
    for (const server of servers) {
      console.log(
        `Memory of ${server.name} at the end, after all calls: ${server.residentMiB().toFixed(0)} MiB`,
      );
    }
  } finally {
    for (const server of servers) await server.stop();
    await databases?.drop();
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** Fills a server with what the calls ask for. */
async function lay(server: Server): Promise<Ground> {
  const started = performance.now();
  const experiments = new Map<number, string>();
  let first = 0;
  for (const count of sizes) {
    experiments.set(count, await fillExperiment(server, python, { name: `bench-${count}`, first, count }));
    first += count;
  }
  const client = createHttpClient(server.url);
  const { run_id: runId } = await createRun(client, "0");
  const { run_id: historyRunId } = await createRun(client, "0");
  for (let start = 0; start < 10_000; start += 1000) {
    const metrics = Array.from({ length: 1000 }, (_, j) => ({
      key: "long",
      value: Math.sin(start + j),
      timestamp: 1_700_000_000_000 + start + j,
      step: start + j,
    }));
    await client.call("POST", "/api/2.0/mlflow/runs/log-batch", { run_id: historyRunId, metrics });
  }
  const model = "bench-model";
  await client.call("POST", "/api/2.0/mlflow/registered-models/create", { name: model });
  const version = { name: model, source: `mlflow-artifacts:/0/${runId}/artifacts/model`, run_id: runId };
  await client.call("POST", "/api/2.0/mlflow/model-versions/create", version);
  await client.call("POST", "/api/2.0/mlflow/registered-models/alias", {
    name: model,
    alias: "champion",
    version: "1",
  });
  client.close();
  console.error(`${server.name} was filled in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  return { experiments, runId, historyRunId, model };
}

/** Both must give the same runs in the same order, or there is nothing to compare. */
async function checkSame(servers: readonly Server[], grounds: ReadonlyMap<Server, Ground>): Promise<void> {
  const seen = await Promise.all(
    servers.map(async (server) => {
      const client = createHttpClient(server.url);
      const ground = grounds.get(server) as Ground;
      const names: string[] = [];
      for (const size of sizes) {
        const answer = await searchCalls(size)[0]?.play(client, ground, 0);
        names.push(...(JSON.stringify(answer).match(/"run_name":\s*"[^"]*"/g) ?? []));
      }
      client.close();
      return names.join();
    }),
  );
  if (new Set(seen).size > 1) throw new Error("The servers answer the same search differently.");
}

interface Times {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Of the server, on all its threads, a call. */
  readonly cpuMs: number;
}

/** Rounds in which each server gets its share of the call, one after the other; the first round warms up. */
async function timed(
  call: TimedCall,
  servers: readonly Server[],
  grounds: ReadonlyMap<Server, Ground>,
): Promise<{ readonly times: ReadonlyMap<string, Times>; readonly ratio: number }> {
  const all = new Map<string, number[]>();
  const cpu = new Map<string, number>();
  const ratios: number[] = [];
  let i = Date.now() % 1_000_000;
  for (let round = 0; round <= rounds; round++) {
    const medians: number[] = [];
    for (const server of servers) {
      const client = createHttpClient(server.url);
      const durations: number[] = [];
      const cpuBefore = server.cpuSeconds();
      for (let n = 0; n < call.count; n++) {
        const started = performance.now();
        await call.play(client, grounds.get(server) as Ground, i++);
        durations.push(performance.now() - started);
      }
      client.close();
      medians.push(quantile(durations, 0.5));
      if (round > 0) {
        all.set(server.name, [...(all.get(server.name) ?? []), ...durations]);
        cpu.set(server.name, (cpu.get(server.name) ?? 0) + server.cpuSeconds() - cpuBefore);
      }
    }
    if (round > 0) ratios.push((medians[0] ?? 0) / (medians.at(-1) ?? 0));
  }
  const times = new Map(
    [...all].map(([name, ms]) => {
      const cpuMs = (1000 * (cpu.get(name) ?? 0)) / ms.length;
      const perSecond = (1000 * ms.length) / ms.reduce((sum, one) => sum + one, 0);
      return [name, { perSecond, p50Ms: quantile(ms, 0.5), p95Ms: quantile(ms, 0.95), cpuMs }];
    }),
  );
  return { times, ratio: quantile(ratios, 0.5) };
}

function row(name: string, { times, ratio }: Awaited<ReturnType<typeof timed>>): string {
  const cells = ["stock", "ketline"].flatMap((server) => {
    const found = times.get(server);
    return found === undefined ? ["–", "–", "–"] : [found.perSecond, found.p50Ms, found.p95Ms].map(figure);
  });
  const cpuRatio = (times.get("stock")?.cpuMs ?? Number.NaN) / (times.get("ketline")?.cpuMs ?? Number.NaN);
  return `| ${[name, ...cells, figure(ratio), figure(cpuRatio)].join(" | ")} |`;
}

/** Eight clients that log and read at once for five seconds on each server in turn. */
async function together(servers: readonly Server[], grounds: ReadonlyMap<Server, Ground>): Promise<void> {
  const seconds = 5;
  const perSecond = new Map<string, number>();
  for (const server of servers) {
    const ground = grounds.get(server) as Ground;
    const end = performance.now() + seconds * 1000;
    let calls = 0;
    const client = async (number: number) => {
      const http = createHttpClient(server.url);
      const own = { ...ground, runId: (await createRun(http, "0")).run_id };
      for (let i = 0; performance.now() < end; i++) {
        const name = i % 2 === 0 ? "log_metric" : "get_run";
        await metadataCalls.find((call) => call.name === name)?.play(http, own, number * 1_000_000 + i);
        calls++;
      }
      http.close();
    };
    await Promise.all(Array.from({ length: 8 }, (_, number) => client(number)));
    perSecond.set(server.name, calls / seconds);
  }
  const [stock = Number.NaN, ketline = Number.NaN] = ["stock", "ketline"].map((name) => perSecond.get(name));
  console.log(
    `\n8 clients at once, log_metric and get_run in turn: stock ${stock.toFixed(0)} calls/s, Ketline ${ketline.toFixed(0)} calls/s: ${figure(ketline / stock)} times`,
  );
}

/** The most that a fresh server holds while a gibibyte goes up, and what it holds before. */
async function largeUpload(server: Server): Promise<void> {
  const before = server.residentMiB();
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, server.residentMiB());
  }, 50);
  const client = createHttpClient(server.url);
  const { run_id: runId } = await createRun(client, "0");
  const started = performance.now();
  await client.upload(`/api/2.0/mlflow-artifacts/artifacts/0/${runId}/artifacts/large.bin`, 1024 * mib);
  const seconds = (performance.now() - started) / 1000;
  clearInterval(timer);
  client.close();
  console.log(
    `1 GiB up to ${server.name}: ${(1024 / seconds).toFixed(0)} MiB/s, memory ${before.toFixed(0)} MiB before, ${peak.toFixed(0)} MiB at most  `,
  );
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Two fresh databases on a PostgreSQL server. */
async function twoDatabases(url: string) {
  const { Client } = (await import("pg")).default;
  const administrator = new Client({ connectionString: url });
  await administrator.connect();
  const name = `ketline_bench_${process.pid}`;
  for (const part of ["stock", "ketline"]) await administrator.query(`create database ${name}_${part}`);
  const at = (part: string) => {
    const target = new URL(url);
    target.pathname = `/${name}_${part}`;
    return target.href;
  };
  return {
    stock: at("stock"),
    ketline: at("ketline"),
    async drop() {
      for (const part of ["stock", "ketline"])
        await administrator.query(`drop database ${name}_${part} with (force)`);
      await administrator.end();
    },
  };
}

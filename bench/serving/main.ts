import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { load, type Measurement, type Payload } from "./load.ts";
import { forest, linear } from "./models.ts";

// npm run bench -- serving [rounds]: what a prediction costs over what any HTTP server with JSON costs. Servers take turns
// in each round; per cell the smallest processor time over the rounds, which other work on the machine disturbs least.

const rounds = Number(process.argv[2] ?? 3);
const root = path.dirname(path.dirname(import.meta.dirname));
const data = await mkdtemp(path.join(tmpdir(), "ketline-bench-"));
const servers: ChildProcess[] = [];
try {
  const bare = await start([path.join(import.meta.dirname, "bare.mjs")], {});
  const ketline = await start([path.join(root, "server/main.ts")], {
    KETLINE_DATA: data,
    KETLINE_LOG_LEVEL: "warn",
    PORT: "0",
  });
  for (const [name, bytes] of [
    ["linear", linear(20)],
    ["linear-100", linear(100)],
    ["forest", forest(100, 6, 20)],
  ] as const) {
    await register(ketline.url, name, bytes);
  }
  console.log(
    `${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, node ${process.version}`,
  );
  console.log("payload                conns  server            CPU us/req  ratio    req/s   p50 ms   p99 ms");
  for (const [model, payload, count] of [
    ["linear", json("1 × 20 JSON", 1, 20), 4000],
    ["linear", json("32 × 20 JSON", 32, 20), 2000],
    ["linear-100", json("1000 × 100 JSON", 1000, 100), 60],
    ["linear-100", binary("1000 × 100 binary", 1000, 100), 400],
    ["forest", json("1 × 20 JSON", 1, 20), 4000],
  ] as const) {
    for (const connections of [1, 64]) {
      const targets = [
        { name: "bare node:http", url: bare.url, pid: bare.pid },
        { name: `ketline ${model}`, url: `${ketline.url}/v2/models/${model}/infer`, pid: ketline.pid },
      ];
      const best = new Map<string, Measurement>();
      for (let round = 0; round <= rounds; round++) {
        for (const { name, url, pid } of targets) {
          const pids = [pid, ...children(pid)];
          const measured = await load(url, payload, { connections, count, pids });
          // The first round warms up.
          if (round > 0) best.set(name, better(best.get(name), measured));
        }
      }
      const reference = best.get("bare node:http")?.cpuMicroseconds ?? Number.NaN;
      for (const [name, { cpuMicroseconds, perSecond, p50Ms, p99Ms }] of best) {
        console.log(
          [
            payload.name.padEnd(22),
            String(connections).padStart(5),
            ` ${name.padEnd(17)}`,
            cpuMicroseconds.toFixed(0).padStart(10),
            (reference / cpuMicroseconds).toFixed(2).padStart(6),
            perSecond.toFixed(0).padStart(8),
            p50Ms.toFixed(2).padStart(8),
            p99Ms.toFixed(2).padStart(8),
          ].join(" "),
        );
      }
    }
  }
} finally {
  for (const server of servers) server.kill();
  await rm(data, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

function better(a: Measurement | undefined, b: Measurement): Measurement {
  if (a === undefined) return b;
  return {
    cpuMicroseconds: Math.min(a.cpuMicroseconds, b.cpuMicroseconds),
    perSecond: Math.max(a.perSecond, b.perSecond),
    p50Ms: Math.min(a.p50Ms, b.p50Ms),
    p99Ms: Math.min(a.p99Ms, b.p99Ms),
  };
}

function start(args: string[], env: Record<string, string>): Promise<{ url: string; pid: number }> {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  servers.push(child);
  let output = "";
  return new Promise((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      const url = /listens on\s+(http:\/\/\S+)/.exec(output)?.[1];
      if (url !== undefined) resolve({ url, pid: child.pid ?? 0 });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", () => reject(new Error(`The server ended: ${output}`)));
  });
}

/** Through MLflow's API, as a client would. */
async function register(url: string, name: string, bytes: Uint8Array): Promise<void> {
  const ask = async (method: string, route: string, body: unknown) => {
    const isBytes = body instanceof Uint8Array;
    const response = await fetch(`${url}${route}`, {
      method,
      body: isBytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
      headers: isBytes ? {} : { "content-type": "application/json" },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${text}`);
    return text === "" ? {} : JSON.parse(text);
  };
  const mlflow = "/api/2.0/mlflow";
  const { run } = await ask("POST", `${mlflow}/runs/create`, { experiment_id: "0", start_time: Date.now() });
  const { run_id: runId, artifact_uri: uri } = run.info;
  const folder = `${String(uri).replace("mlflow-artifacts:/", "")}/${name}`;
  await ask("PUT", `/api/2.0/mlflow-artifacts/artifacts/${folder}/model.onnx`, bytes);
  await ask("POST", `${mlflow}/registered-models/create`, { name });
  const source = `runs:/${runId}/${name}`;
  await ask("POST", `${mlflow}/model-versions/create`, { name, source, run_id: runId });
}

function json(name: string, rows: number, features: number): Payload {
  const values = Array.from({ length: rows * features }, (_, i) => Math.round((i % 97) * 10_309) / 1e6);
  const inputs = [{ name: "X", shape: [rows, features], datatype: "FP32", data: values }];
  return {
    name,
    body: new TextEncoder().encode(JSON.stringify({ id: "1", inputs })),
    headers: { "content-type": "application/json" },
  };
}

function binary(name: string, rows: number, features: number): Payload {
  const values = Float32Array.from({ length: rows * features }, (_, i) => (i % 97) / 97);
  const parameters = { binary_data_size: values.byteLength };
  const head = Buffer.from(
    JSON.stringify({
      id: "1",
      inputs: [{ name: "X", shape: [rows, features], datatype: "FP32", parameters }],
    }),
  );
  return {
    name,
    body: Buffer.concat([head, new Uint8Array(values.buffer)]),
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(head.byteLength),
    },
  };
}

/** Processes of a process: the hosts of its models. */
function children(pid: number): number[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid ? [Number(entry)] : [];
    } catch {
      return [];
    }
  });
}

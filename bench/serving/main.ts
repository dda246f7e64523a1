import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { cpus, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { endChildren, helper, pinning } from "./children.ts";
import type { LoadRequest, Measurement } from "./client.process.ts";
import { coldStarts } from "./cold.ts";
import { forest, linear, perceptron } from "./models.ts";
import { binary, json, type Payload } from "./payloads.ts";
import { startPeers } from "./peers.ts";
import {
  bare,
  type Client,
  type Contender,
  functions,
  ketline,
  type Model,
  raw,
  useFolder,
} from "./servers.ts";
import { line, type Result, spread, summary } from "./table.ts";

// npm run bench -- serving: what a prediction costs over what any HTTP server with JSON costs, beside other servers for
// the same model in the same runtime. Servers take turns within each round, so that a busy moment falls on all of them.

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "0.7" },
    /** Parts of names: only these servers; the bare one is always there. */
    servers: { type: "string", default: "" },
    /** Only cells that have this in their name, e.g. "linear" or "1 × 20 JSON". */
    only: { type: "string", default: "" },
    /** All models with all payloads at all numbers of connections. */
    full: { type: "boolean", default: false },
    /** Also how long first answers take. */
    cold: { type: "boolean", default: false },
    /** A folder with the Python environments mlserver, bentoml and mlflow (`peers.ts`). */
    peers: { type: "string" },
  },
});
const rounds = Number(options.rounds);
const durationMs = 1000 * Number(options.seconds);
const isWanted = (name: string) =>
  options.servers === "" || options.servers.split(",").some((part) => name.includes(part.trim()));

const models: readonly Model[] = [
  { name: "linear", bytes: linear(20) },
  { name: "forest", bytes: forest(100, 6, 20) },
  { name: "large-forest", bytes: forest(340, 8, 20) },
  { name: "mlp", bytes: perceptron(20, 64) },
  { name: "linear-100", bytes: linear(100) },
  { name: "forest-100", bytes: forest(100, 6, 100) },
];

interface Cell {
  readonly model: string;
  readonly payload: Payload;
  readonly connections: number;
}

function cells(): Cell[] {
  const of = (model: string, payload: Payload, ...connections: number[]) =>
    connections.map((count) => ({ model, payload, connections: count }));
  const every = [1, 16, 64, 256];
  const small = ["linear", "forest", "large-forest", "mlp"];
  const wide = ["linear-100", "forest-100"];
  if (options.full) {
    return [
      ...small.flatMap((model) =>
        [json(1, 20), json(32, 20)].flatMap((payload) => of(model, payload, ...every)),
      ),
      ...wide.flatMap((model) =>
        [json(1000, 100), binary(1000, 100)].flatMap((payload) => of(model, payload, ...every)),
      ),
    ];
  }
  return [
    ...of("linear", json(1, 20), ...every),
    ...small.slice(1).flatMap((model) => of(model, json(1, 20), 64)),
    ...of("linear", json(32, 20), 64),
    ...of("linear-100", json(1000, 100), 16),
    ...wide.flatMap((model) => of(model, binary(1000, 100), 16)),
  ];
}

/** Servers, and servers with what they were warmed up for. */
const warm = new Set<string>();

const folder = await mkdtemp(path.join(tmpdir(), "ketline-bench-"));
// Takes the metrics that the observed server sends.
const sink = createServer((request, response) => {
  request.resume().on("end", () => response.end("{}"));
}).listen(0, "127.0.0.1");
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    endChildren();
    process.exit(1);
  });
}
try {
  useFolder(folder);
  for (const { name, bytes } of models) await writeFile(path.join(folder, `${name}.onnx`), bytes);
  const { ask } = helper<LoadRequest, Measurement>(
    "client",
    path.join(import.meta.dirname, "client.process.ts"),
  );
  const contenders = await startAll(ask);
  console.log(`${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, node ${process.version}, ${pinning}`);
  console.log(
    `${new Date().toISOString().slice(0, 10)}, load ${loadavg()[0]?.toFixed(1)}, ${rounds} rounds\n`,
  );
  console.log(line.head);
  for (const cell of cells()) {
    const label = `${cell.model}, ${cell.payload.name}, ${cell.connections}`;
    if (!label.includes(options.only)) continue;
    for (const result of await measure(cell, contenders)) console.log(line.of(label, result));
  }
  if (options.cold) {
    const { unloaded, started } = await coldStarts(folder, linear(20), 7);
    console.log(`\nfirst answer of a model that is not loaded: ${spread(unloaded)}`);
    console.log(`first answer of a process that starts:       ${spread(started)}`);
  }
  console.log(`\nload at the end ${loadavg()[0]?.toFixed(1)}`);
} finally {
  endChildren();
  sink.close();
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

async function startAll(client: Client): Promise<Contender[]> {
  const address = sink.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const own: [name: string, start: () => Promise<Contender>][] = [
    ["raw", async () => raw(folder)],
    ["ketline", () => ketline(client, models)],
    ["observed", () => ketline(client, models, { sink: `http://127.0.0.1:${port}` })],
    ["functions", () => functions(client, models, folder)],
  ];
  const contenders = [await bare(client)];
  for (const [name, start] of own) if (isWanted(name)) contenders.push(await start());
  if (options.peers === undefined) {
    console.log(
      "left out: MLServer, BentoML, mlflow models serve; --peers <folder> names their environments",
    );
    return contenders;
  }
  const environments = path.resolve(options.peers);
  return [...contenders, ...(await startPeers({ client, environments, folder, models }, isWanted))];
}

/**
 * Until a server has answered so often that it is as fast as it gets: code that V8 has not optimised yet costs several
 * times what it costs later. Slow servers are not waited for that long.
 */
async function warmUp({ name, measure }: Contender, model: string, payload: Payload): Promise<void> {
  const what = `${name}\n${model}\n${payload.name}`;
  if (warm.has(what)) return;
  const isNew = !warm.has(name);
  warm.add(name).add(what);
  let left = isNew ? 40_000 : 1500;
  const untilMs = performance.now() + (isNew ? 20_000 : 3000);
  while (left > 0 && performance.now() < untilMs) {
    const measured = await measure(model, payload, { connections: 64, durationMs: 1000 });
    if (measured === undefined) return;
    left -= measured.perSecond;
  }
}

async function measure(
  { model, payload, connections }: Cell,
  contenders: readonly Contender[],
): Promise<Result[]> {
  const measured = new Map<string, Measurement[]>();
  for (const contender of contenders) await warmUp(contender, model, payload);
  for (let round = 0; round < rounds; round++) {
    for (const { name, measure } of contenders) {
      const measurement = await measure(model, payload, { connections, durationMs });
      if (measurement === undefined) continue;
      measured.set(name, [...(measured.get(name) ?? []), measurement]);
    }
  }
  return summary(measured);
}

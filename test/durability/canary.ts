import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { encodeModel } from "../../shared/onnx/index.ts";
import { linearModel } from "../models/serving/models.ts";
import { randomSource } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { type CanaryBook, findBreaches, newBook, type RevisionFacts, tableOf } from "./canary-book.ts";
import { openClients } from "./canary-clients.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

// node tools/node22.mjs test/durability/canary.ts [--seconds 60 --connections 64 --servers 2 --seed 1]
// A canary goes 0 -> 10 -> 50 -> 100 % by a rollout, and back by a rollback, while clients ask without a pause over
// connections that stay open. No request may fail or be answered by another version than its headers claim or its
// revision allows; the split must lie in its binomial interval, sticky keys must stay, and each change must reach every
// server within 2 s. With two servers over the same data, the one that was not told has to find out.

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    connections: { type: "string", default: "64" },
    servers: { type: "string", default: "2" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const seconds = Number(values.seconds);
const connections = Number(values.connections);
const seed = Number(values.seed);
const deployment = "canary-proof";
const model = "times";
/** Version to factor: what a version answers is its factor times the input. */
const factors: Readonly<Record<string, number>> = { 1: 1, 2: 2 };
const phases = 5;

const data = await temporaryDirectory();
const servers: ServerProcess[] = [];
try {
  for (let i = 0; i < Number(values.servers); i++) servers.push(await startServerProcess(data.path));
  const [first] = servers;
  if (first === undefined) throw new Error("--servers must be at least 1.");
  console.log(`${connections} connections to ${servers.length} servers for ${seconds} s, seed ${seed}`);
  const send = sender(first.url);
  await register(send);
  const variants = [{ name: "champion", model, version: "1", weight: 100 }];
  const sticky = { by: "header", name: "x-user" };
  await send("PUT", `/api/v1/deployments/${deployment}`, { variants, sticky });
  await warmUp(servers);
  const book = newBook();
  const clients = openClients({
    urls: servers.map(({ url }) => url),
    connections,
    deployment,
    factors,
    random: randomSource(seed).uniform,
    book,
  });
  const rollout = await goUpAndBack(send, book);
  await clients.stop();
  await judge(send, book, rollout, clients.opened());
} finally {
  for (const server of servers) await server.stop();
  await data.remove();
}

type Send = (method: string, path: string, body?: unknown) => Promise<unknown>;

async function register(send: Send): Promise<void> {
  await send("POST", "/api/2.0/mlflow/registered-models/create", { name: model });
  for (const [version, factor] of Object.entries(factors)) {
    const path = `/api/2.0/mlflow-artifacts/artifacts/0/canary/${version}/model.onnx`;
    await send("PUT", path, encodeModel(linearModel([factor])));
    const source = `mlflow-artifacts:/0/canary/${version}`;
    await send("POST", "/api/2.0/mlflow/model-versions/create", { name: model, source });
  }
}

/** One answer of each server before the clock starts, so that starting ONNX Runtime is no part of the proof. */
async function warmUp(all: readonly ServerProcess[]): Promise<void> {
  const inputs = [{ name: "X", shape: [1, 1], datatype: "FP32", data: [1] }];
  for (const { url } of all) await sender(url)("POST", `/v2/models/${deployment}/infer`, { inputs });
}

interface Rollout {
  readonly id: string;
  readonly state: string;
  readonly steps: readonly {
    weight: number;
    verdicts: readonly { signal: string; verdict: string; sentence: string }[];
  }[];
}

async function goUpAndBack(send: Send, book: CanaryBook): Promise<Rollout> {
  const path = `/api/v1/deployments/${deployment}`;
  const wait = () => sleep((seconds * 1000) / phases);
  const changed = async (answer: Promise<unknown>) => {
    const after = (await answer) as Rollout & { readonly revision: number };
    book.changes.push({ revision: after.revision, atMs: performance.now() });
    return after;
  };
  await wait();
  const started = await changed(
    send("POST", `${path}/rollouts`, {
      target: { name: "canary", model, version: "2" },
      steps: [10, 50].map((weight) => ({ weight, minutes: 60 })),
      reason: "the proof",
    }),
  );
  await wait();
  const advance = `${path}/rollouts/${started.id}/advance`;
  await changed(send("POST", advance, { reason: "to 50 %", fromStep: 1 }));
  await wait();
  await changed(send("POST", advance, { reason: "to 100 %", fromStep: 2 }));
  await wait();
  await changed(send("POST", `${path}/rollback`, { reason: "and back" }));
  await wait();
  return (await send("GET", `${path}/rollouts/${started.id}`)) as Rollout;
}

async function judge(send: Send, book: CanaryBook, rollout: Rollout, opened: number): Promise<void> {
  const { items } = (await send("GET", `/api/v1/deployments/${deployment}/revisions`)) as {
    items: { revision: number; spec: { variants: RevisionFacts["variants"] } }[];
  };
  const facts = items.map(({ revision, spec }) => ({ revision, variants: spec.variants })).reverse();
  const weights = facts.map(({ variants }) => variants.find(({ name }) => name === "canary")?.weight ?? 0);
  for (const line of tableOf(book, facts)) console.log(line);
  for (const { weight, verdicts } of rollout.steps) {
    for (const { signal, verdict, sentence } of verdicts) {
      console.log(`gate at ${weight} %: ${signal}: ${verdict}. ${sentence}`);
    }
  }
  const breaches = findBreaches(book, facts);
  if (weights.join() !== "0,10,50,100,0") breaches.push(`the canary had ${weights.join(", ")} % in turn`);
  if (rollout.state !== "completed") breaches.push(`the rollout is ${rollout.state}`);
  if (opened !== connections) breaches.push(`${opened} connections were opened, not ${connections}`);
  for (const breach of breaches) console.error(`breach: ${breach}`);
  const { requests, failed, misrouted } = book.totals;
  console.log(
    `${requests} requests over ${opened} connections, ${failed} failed, ${misrouted} misrouted, ${breaches.length} breaches`,
  );
  process.exitCode = breaches.length === 0 ? 0 : 1;
}

function sender(url: string): Send {
  return async (method, path, body) => {
    const bytes = body instanceof Uint8Array;
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { "content-type": bytes ? "application/octet-stream" : "application/json" },
      ...(body === undefined ? {} : { body: bytes ? new Uint8Array(body) : JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text === "" ? {} : JSON.parse(text);
  };
}

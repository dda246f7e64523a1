import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { randomSource } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { emptyLedger } from "./ledger.ts";
import { type Send, writeUntilGone } from "./load.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";
import { findLosses, findUnfinishedJobs } from "./verify.ts";

// npm run test:durability [-- --rounds 50 --writers 8 --seed 1]
// Each round starts the server over the same data, lets clients write, and ends it with SIGKILL at a random moment. No
// write that was answered may be missing, each start must succeed by itself, and at the end every job must have ended.

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "50" },
    writers: { type: "string", default: "8" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const rounds = Number(values.rounds);
const writers = Number(values.writers);
const seed = Number(values.seed);
const random = randomSource(seed).uniform;
const shortestMs = 20;
const maxMs = 2500;

const data = await temporaryDirectory();
const ledger = emptyLedger();
const lost: string[] = [];
const startMs: number[] = [];
let server: ServerProcess | undefined;
console.log(`${rounds} rounds of ${writers} writers, seed ${seed}`);
try {
  for (let round = 1; round <= rounds; round++) {
    server = await start();
    const before = ledger.acknowledged;
    const loads = Array.from({ length: writers }, (_, writer) =>
      writeUntilGone(`r${round}-w${writer}`, sender(server as ServerProcess), ledger, random),
    );
    const afterMs = shortestMs + random() * (maxMs - shortestMs);
    await sleep(afterMs);
    await server.kill();
    await Promise.all(loads);
    server = await start();
    const found = await findLosses(server.url, ledger);
    lost.push(...found);
    await server.kill();
    server = undefined;
    const acknowledged = ledger.acknowledged - before;
    console.log(
      `round ${String(round).padStart(3)}: killed after ${String(Math.round(afterMs)).padStart(4)} ms, ` +
        `${String(acknowledged).padStart(4)} acknowledged, ${found.length} of ${ledger.acknowledged} lost`,
    );
  }
  server = await start();
  const unfinished = await findUnfinishedJobs(server.url, 180_000);
  await server.stop();
  server = undefined;
  for (const sentence of [...new Set(lost), ...unfinished]) console.error(`lost: ${sentence}`);
  const median = startMs.toSorted((a, b) => a - b)[startMs.length >> 1] ?? 0;
  const { runs, artifacts, datasets, models, deployments } = ledger;
  console.log(
    `${runs.size} runs, ${artifacts.size} artifacts, ${datasets.size} data sets, ${models.size} models, ` +
      `${deployments.size} deployments`,
  );
  console.log(
    `${rounds} rounds, ${startMs.length} starts (median ${Math.round(median)} ms), ` +
      `${ledger.acknowledged} writes acknowledged, ${new Set(lost).size} lost, ${unfinished.length} jobs unfinished`,
  );
  process.exitCode = lost.length + unfinished.length === 0 ? 0 : 1;
} finally {
  await server?.kill();
  if (process.exitCode === 0) await data.remove();
  else console.error(`The data of the last round stays in ${data.path}.`);
}

async function start(): Promise<ServerProcess> {
  const begunMs = performance.now();
  const started = await startServerProcess(data.path);
  startMs.push(performance.now() - begunMs);
  return started;
}

function sender({ url }: ServerProcess): Send {
  return async (method, path, body, headers) => {
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${url}${path}`, {
        method,
        headers: {
          "content-type": body instanceof Buffer ? "application/octet-stream" : "application/json",
          ...headers,
        },
        body: body instanceof Buffer ? new Uint8Array(body) : JSON.stringify(body),
      });
      text = await response.text();
    } catch {
      return undefined;
    }
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text === "" ? {} : JSON.parse(text);
  };
}

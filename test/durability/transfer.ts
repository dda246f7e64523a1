import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { createMlflowClient } from "../../clients/mlflow/index.ts";
import { contentsOf } from "../models/transfer/contents.ts";
import { pythonPath } from "../support/python.ts";
import { fillStockStore, type StockServer, startStockServer, stockStore } from "../support/stock-mlflow.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

// node tools/node22.mjs test/durability/transfer.ts [--runs 5000 --kills 1 --concurrency 6 --only import]
// Fills a stock MLflow server, imports it into Ketline, exports that to a second stock server, and compares all three.
// Ketline is ended with SIGKILL in the middle of each transfer; the job goes on after the next start.

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5000" },
    kills: { type: "string", default: "1" },
    concurrency: { type: "string", default: "6" },
    only: { type: "string", default: "" },
    // A directory that an earlier run filled, instead of filling one.
    store: { type: "string", default: "" },
  },
});
const runs = Number(values.runs);
const kills = Number(values.kills);
const concurrency = Number(values.concurrency);
const limitMs = 4 * 3600_000;

const python = pythonPath();
if (python === undefined) throw new Error("This needs the stock MLflow server.");
const stores = [await stockStore(values.store), await stockStore()] as const;
const data = await temporaryDirectory();
const stock: StockServer[] = [];
let ketline: ServerProcess | undefined;
let isEqual = false;
try {
  if (values.store === "") console.log(await timed("filling", () => fillStockStore(python, stores[0], runs)));
  stock.push(await startStockServer(python, stores[0]), await startStockServer(python, stores[1]));
  const [first, second] = stock as [StockServer, StockServer];
  ketline = await startServerProcess(data.path);
  await timed("import", () => transfer("import", first.url));
  await timed("import again", () => transfer("import", first.url, 0));
  if (values.only !== "import") await timed("export", () => transfer("export", second.url));
  const contents = [];
  for (const { url } of [first, ketline, ...(values.only === "import" ? [] : [second])]) {
    contents.push(await timed(`reading ${url}`, () => contentsOf(createMlflowClient({ url }))));
  }
  const [source = {}, copy = {}, back = copy] = contents;
  console.log(`${Object.keys(source).length} things on the source: ${countsOf(source)}`);
  isEqual = differences("import", source, copy) + differences("export", copy, back) === 0;
  console.log(isEqual ? `All ${contents.length} are equal.` : "They are NOT equal.");
} finally {
  await ketline?.kill();
  for (const server of stock) await server.close();
  for (const store of stores) await store.remove();
  await data.remove();
}
process.exitCode = isEqual ? 0 : 1;

interface TransferJson {
  readonly id: string;
  readonly job: { state: string; attempt: number; progress: number; progressMessage: string; error: string };
  readonly report: unknown;
}

/** Runs a transfer to its end, and kills the server as often as asked while it is under way. */
async function transfer(direction: string, url: string, killsLeft = kills): Promise<void> {
  const { id } = await ask("POST", "/api/v1/transfers", { direction, server: { url }, concurrency });
  const until = performance.now() + limitMs;
  let killsToCome = killsLeft;
  while (performance.now() < until) {
    await sleep(500);
    const { job, report } = await ask("GET", `/api/v1/transfers/${id}`);
    if (job.state === "succeeded") {
      console.log(`${direction}: ${JSON.stringify(report)}`);
      return;
    }
    if (job.state !== "queued" && job.state !== "running") throw new Error(`${direction}: ${job.error}`);
    if (killsToCome > 0 && job.progress > 0.95 * (1 - killsToCome / (killsLeft + 1))) {
      killsToCome--;
      console.log(`${direction}: killed after ${job.progressMessage}`);
      await ketline?.kill();
      ketline = await startServerProcess(data.path);
    }
  }
  throw new Error(`The ${direction} had not ended after ${limitMs} ms.`);
}

async function ask(method: string, path: string, body?: object): Promise<TransferJson> {
  const response = await fetch(`${ketline?.url}${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

async function timed<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  const begunMs = performance.now();
  const result = await work();
  console.log(`${what}: ${((performance.now() - begunMs) / 1000).toFixed(1)} s`);
  return result;
}

function countsOf(contents: Record<string, unknown>): string {
  const counts = new Map<string, number>();
  for (const name of Object.keys(contents)) {
    const [kind = ""] = /^(registered model|logged model|\w+)/.exec(name) ?? [];
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return Array.from(counts, ([kind, count]) => `${count} × ${kind}`).join(", ");
}

/** Prints the first few. @returns how many there are */
function differences(what: string, source: Record<string, unknown>, copy: Record<string, unknown>): number {
  const names = new Set([...Object.keys(source), ...Object.keys(copy)]);
  const different = [...names].filter((name) => !isDeepStrictEqual(source[name], copy[name]));
  console.log(`${what}: ${names.size} compared, ${different.length} differ`);
  for (const name of different.slice(0, 5)) {
    console.error(`${what}: ${name}\n  source ${shown(source[name])}\n  copy   ${shown(copy[name])}`);
  }
  return different.length;
}

function shown(value: unknown): string {
  return value === undefined ? "is missing" : JSON.stringify(value).slice(0, 1500);
}

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { createPlatform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";
import type { Route } from "../../shared/http/index.ts";
import { emptyPostgres } from "../support/databases.ts";
import { randomSource } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { createSender, type FuzzAnswer, type FuzzRequest, faultOf, isSlow } from "./fuzz/exchange.ts";
import { buildGround, type FuzzGround } from "./fuzz/ground.ts";
import { mutate } from "./fuzz/mutation.ts";
import { pick } from "./fuzz/odd-values.ts";
import { seedOf } from "./fuzz/seeds.ts";
import { startServerProcess } from "./server-process.ts";

// node tools/node22.mjs test/durability/fuzz.ts [--requests 200000] [--seed 1] [--postgres postgres://…] [--route text]
// Sends mutated requests of every route to a real server: no answer may be a fault of the server's (a 5xx that names no
// state, silence, more than 5 s), the server must stay alive and its memory bounded. What fails is printed as JSON, and
// --replay <that JSON> sends it once more, over a new ground.

const { values: options } = parseArgs({
  options: {
    requests: { type: "string", default: "200000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    connections: { type: "string", default: "12" },
    postgres: { type: "string" },
    /** Only routes whose method and path hold this. */
    route: { type: "string", default: "" },
    replay: { type: "string" },
  },
});
const total = Number(options.requests);
const seed = Number(options.seed);
const connections = Number(options.connections);
/** What was deleted meanwhile is made anew, under other names. */
const requestsPerRound = 10_000;
const maxMemoryBytes = 1.5 * 1024 ** 3;
const maxFaultsShown = 40;

const data = await temporaryDirectory();
const database = options.postgres === undefined ? undefined : await emptyPostgres(options.postgres);
const server = await startServerProcess(data.path, {
  env: {
    KETLINE_MODEL_HOSTS: "1",
    KETLINE_WEBHOOK_ALLOW_PRIVATE: "true",
    KETLINE_LOG_LEVEL: "error",
    ...(database === undefined ? {} : { KETLINE_DATABASE: database.url }),
  },
});
const sender = createSender(server.url, connections);
const faults = new Map<string, number>();
/** Routes that took something: what is refused at the door shows little of the house. */
const answered = new Set<Route>();
/** Asked again when nobody else asks: a machine that is busy with other things makes anything slow. */
const slow: FuzzRequest[] = [];
const statuses = new Map<string, number>();
let slowestMs = 0;
let memoryBytes = 0;
let sent = 0;
let table: readonly Route[] | undefined;
try {
  const routes = (await routeTable()).filter(({ method, path }) =>
    `${method} ${path}`.includes(options.route),
  );
  console.log(
    `${total} requests to ${routes.length} routes on ${database === undefined ? "SQLite" : "PostgreSQL"}, seed ${seed}`,
  );
  if (options.replay !== undefined) await replay(options.replay, routes);
  else {
    for (let round = 0; sent < total; round++) {
      const ground = await buildGround(server.url, await routeTable(), round);
      await fuzzRound(routes, ground, round, Math.min(requestsPerRound, total - sent));
      const ending = server.ending();
      if (ending !== undefined) {
        fault("the server", ending, undefined);
        break;
      }
      const { status } = await sender.send({
        method: "GET",
        target: "/health",
        headers: {},
        body: undefined,
      });
      if (status !== 200) fault("GET /health", `answered ${status} after round ${round}`, undefined);
      memoryBytes = Math.max(memoryBytes, await residentBytes());
      console.log(`${sent} sent, ${faultCount()} faults, ${Math.round(memoryBytes / 1024 ** 2)} MiB at most`);
    }
  }
  if (memoryBytes > maxMemoryBytes) fault("memory", `${memoryBytes} bytes resident`, undefined);
} finally {
  sender.close();
  await server.kill();
  await database?.remove();
  await data.remove();
}
const shown = [...statuses].toSorted().map(([status, count]) => `${status}: ${count}`);
console.log(`answers ${shown.join(", ")}`);
const shut = (table ?? [])
  .filter((route) => !answered.has(route))
  .map(({ method, path }) => `${method} ${path}`);
console.log(`${shut.length} routes refused everything: ${shut.slice(0, 60).join(", ")}`);
for (const [where, count] of [...faults].toSorted((a, b) => b[1] - a[1])) console.log(`${count} × ${where}`);
console.log(
  `${sent} requests, ${faultCount()} faults, slowest ${Math.round(slowestMs)} ms, ` +
    `at most ${Math.round(memoryBytes / 1024 ** 2)} MiB resident, seed ${seed}`,
);
process.exitCode = faults.size === 0 ? 0 : 1;

/** Of a platform that nobody asks anything: new routes are fuzzed from the day they are declared. */
async function routeTable(): Promise<readonly Route[]> {
  table ??= await readRoutes();
  return table;
}

async function fuzzRound(
  routes: readonly Route[],
  ground: FuzzGround,
  round: number,
  count: number,
): Promise<void> {
  const { uniform } = randomSource(seed * 1000 + round);
  const groups = [...Map.groupBy(routes, familyOf).values()];
  let left = count;
  const client = async () => {
    while (left-- > 0 && server.ending() === undefined) {
      // Drawn one after the other, so that a seed gives the same requests whatever the answers.
      const route = pick(uniform, pick(uniform, groups));
      const request = mutate(uniform, seedOf(route, ground, uniform));
      const answer = await sender.send(request);
      judge(request, answer);
      if (answer.status < 400) answered.add(route);
    }
  };
  const watch = setInterval(async () => {
    memoryBytes = Math.max(memoryBytes, await residentBytes().catch(() => 0));
  }, 500);
  await Promise.all(Array.from({ length: connections }, client)).finally(() => clearInterval(watch));
  for (const request of slow.splice(0)) {
    const again = await sender.send(request);
    if (isSlow(again))
      fault(nameOf(request), `took ${Math.round(again.durationMs)} ms`, { request, answer: again });
  }
}

/** Twins under two prefixes, and all that is answered in one sentence, count as one. */
function familyOf({ method, path }: Route): string {
  return path.includes(":rest{") ? path : `${method} ${path.replace(/^\/ajax-api/, "/api")}`;
}

function judge(request: FuzzRequest, answer: FuzzAnswer): void {
  sent++;
  slowestMs = Math.max(slowestMs, answer.durationMs);
  const kind = answer.status < 500 ? `${String(answer.status)[0]}xx` : String(answer.status);
  statuses.set(kind, (statuses.get(kind) ?? 0) + 1);
  if (isSlow(answer)) slow.push(request);
  const reason = faultOf(request, answer);
  if (reason !== undefined) fault(nameOf(request), reason, { request, answer });
}

const nameOf = ({ method, target }: FuzzRequest) => `${method} ${target.split("?")[0]}`;

function fault(
  where: string,
  reason: string,
  seen: { readonly request: FuzzRequest; readonly answer: FuzzAnswer } | undefined,
): void {
  const short = where
    .replace(/[0-9a-f-]{32,36}/g, "…")
    .replace(/%[0-9a-f]{2}.*|x{20,}.*/gi, "…")
    .slice(0, 120);
  const key = `${short} ${reason.replace(/\d+ ms/, "long")}`;
  const before = faults.get(key) ?? 0;
  faults.set(key, before + 1);
  if (before > 0 || faults.size > maxFaultsShown) return;
  console.log(`FAULT ${where.slice(0, 200)} ${reason}`);
  if (seen === undefined) return;
  const { body, ...rest } = seen.request;
  const packed = { ...rest, ...(body === undefined ? {} : { body: Buffer.from(body).toString("base64") }) };
  console.log(`  ${JSON.stringify(packed).slice(0, 3000)}`);
  console.log(`  ${seen.answer.text.slice(0, 500)}`);
}

function faultCount(): number {
  return [...faults.values()].reduce((sum, count) => sum + count, 0);
}

async function replay(packed: string, routes: readonly Route[]): Promise<void> {
  await buildGround(server.url, routes, 0);
  const { body, ...rest } = JSON.parse(packed);
  const request: FuzzRequest = {
    ...rest,
    body: body === undefined ? undefined : Buffer.from(body, "base64"),
  };
  const answer = await sender.send(request);
  console.log(answer);
  judge(request, answer);
}

async function readRoutes(): Promise<readonly Route[]> {
  const scratch = await temporaryDirectory();
  const platform = await createPlatform(
    loadConfig({ KETLINE_DATA: scratch.path, KETLINE_LOG_LEVEL: "silent" }),
  );
  const { routes } = platform;
  await platform.close();
  await scratch.remove();
  return routes;
}

/** Of the server's process alone; its hosts have limits of their own. */
async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { emptyPostgres } from "../../support/databases.ts";
import { postgresUrl } from "../../support/postgres.ts";
import { randomSource } from "../../support/random.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { type ServerProcess, startServerProcess } from "../server-process.ts";

// KETLINE_TEST_POSTGRES=… node tools/node22.mjs test/durability/jobs/servers.ts [--servers 3 --trainings 120 --kills 12 --seed 1]
// Several servers over one PostgreSQL train, and one after the other is killed in the middle of it and started again. Each
// training ends once, with one version and one finished run; every other run that it made has failed with the reason.

const { values } = parseArgs({
  options: {
    servers: { type: "string", default: "3" },
    trainings: { type: "string", default: "120" },
    kills: { type: "string", default: "12" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const count = Number(values.servers);
const trainings = Number(values.trainings);
const kills = Number(values.kills);
const seed = Number(values.seed);
const random = randomSource(seed).uniform;
const limitMs = 600_000;

interface Job {
  readonly id: string;
  readonly state: string;
  readonly error: string | null;
  readonly attempt: number;
  readonly result: { readonly runId: string; readonly model: { readonly version: number } } | null;
}
interface Run {
  readonly info: { readonly run_id: string; readonly status: string };
  readonly data: { readonly tags: readonly { readonly key: string; readonly value: string }[] };
}

const postgres = postgresUrl();
if (postgres === undefined) process.exit(0);
const database = await emptyPostgres(postgres);
const data = await temporaryDirectory();
const env = { KETLINE_DATABASE: database.url, KETLINE_LOG_LEVEL: "silent" };
const start = () => startServerProcess(data.path, { env });
const servers: ServerProcess[] = [];
const wrong: string[] = [];
try {
  // The first alone brings the schema up; the others may start at once.
  servers.push(await start());
  servers.push(...(await Promise.all(Array.from({ length: count - 1 }, start))));
  await prepare();
  const ids: string[] = [];
  let killed = 0;
  const killing = (async () => {
    for (; killed < kills; killed++) {
      await sleep(500 + random() * 2_500);
      const at = Math.floor(random() * count);
      await servers[at]?.kill();
      servers[at] = await start();
    }
  })();
  while (ids.length < trainings) {
    const id = await submit(ids.length);
    if (id !== undefined) ids.push(id);
  }
  await killing;
  const jobs = await ended(ids);
  await check(jobs);
  const attempts = jobs.reduce((sum, { attempt }) => sum + attempt, 0);
  console.log(
    `${jobs.length} trainings on ${count} servers, ${killed} kills, ${attempts} attempts, ${wrong.length} wrong (seed ${seed})`,
  );
} finally {
  for (const server of servers) await server.kill();
  await database.remove();
  await data.remove();
}
for (const sentence of wrong.slice(0, 40)) console.error(sentence);
process.exitCode = wrong.length === 0 ? 0 : 1;

/** Asks any of the servers; undefined when it was killed before it answered. */
async function ask(method: string, path: string, body?: unknown): Promise<unknown> {
  const server = servers[Math.floor(random() * servers.length)];
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${server?.url}${path}`, {
      method,
      headers: { "content-type": typeof body === "string" ? "text/csv" : "application/json" },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    text = await response.text();
  } catch {
    return undefined;
  }
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

async function askOnce<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  for (;;) {
    const answer = await ask(method, path, body);
    if (answer !== undefined) return answer as Answer;
    await sleep(100);
  }
}

async function prepare(): Promise<void> {
  const rows = Array.from({ length: 3_000 }, (_, n) => `${n},${(n * 7919) % 997},${n % 3 === 0 ? 1 : 0}`);
  await ask("POST", "/api/v1/datasets/rows/versions?format=csv", `a,b,y\n${rows.join("\n")}\n`);
  for (;;) {
    const { items } = await askOnce<{ items: { state: string }[] }>(
      "GET",
      "/api/v1/datasets/rows/versions?state=ready",
    );
    if (items.length > 0) return;
    await sleep(100);
  }
}

/** With a key: sent again after a kill, it is the same training. */
async function submit(n: number): Promise<string | undefined> {
  const training = {
    dataset: "rows",
    task: "binary",
    target: { column: "y", greaterThan: 0 },
    features: [{ column: "a" }, { column: "b" }],
    split: { holdoutFraction: 0.3, seed: n },
    algorithm: { kind: "boosting", trees: 60 },
    registeredModel: "raced",
    promotion: { policy: "never" },
  };
  const answer = await ask("POST", `/api/v1/training?idempotencyKey=training-${n}`, training);
  if (answer === undefined) await sleep(50);
  return (answer as { id: string } | undefined)?.id;
}

/** Waits for the end of each. One that was killed each time it was tried is asked to try again. */
async function ended(ids: readonly string[]): Promise<Job[]> {
  const untilMs = performance.now() + limitMs;
  const found: Job[] = [];
  for (const id of ids) {
    for (;;) {
      const job = await askOnce<Job>("GET", `/api/v1/jobs/${id}`);
      if (job.state === "failed" && job.error?.startsWith("The process that ran it went away")) {
        await askOnce("POST", `/api/v1/jobs/${id}/retry`);
      } else if (job.state === "succeeded") {
        found.push(job);
        break;
      } else if (job.state === "failed" || job.state === "cancelled" || performance.now() > untilMs) {
        wrong.push(`job ${id} is ${job.state}: ${job.error}`);
        break;
      }
      await sleep(200);
    }
  }
  return found;
}

async function check(jobs: readonly Job[]): Promise<void> {
  const versions = new Set<number>();
  for (const { id, result } of jobs) {
    if (result === null || versions.has(result.model.version)) wrong.push(`job ${id} shares its version`);
    else versions.add(result.model.version);
  }
  const runs = Map.groupBy(await allRuns(), (run) => tagOf(run, "ketline.job") ?? "");
  for (const { id, result } of jobs) {
    for (const run of runs.get(id) ?? []) {
      const { run_id, status } = run.info;
      const isIts = run_id === result?.runId;
      if (isIts && status !== "FINISHED") wrong.push(`the run ${run_id} of job ${id} is ${status}`);
      if (!isIts && status !== "FAILED" && status !== "KILLED")
        wrong.push(`the run ${run_id} of an attempt of job ${id} is ${status}`);
      if (!isIts && tagOf(run, "ketline.end_reason") === undefined)
        wrong.push(`the run ${run_id} of an attempt of job ${id} does not say why it ended`);
    }
  }
  const registered = await askOnce<{ model_versions?: unknown[] }>(
    "GET",
    `/api/2.0/mlflow/model-versions/search?filter=${encodeURIComponent("name = 'raced'")}&max_results=10000`,
  );
  const made = registered.model_versions?.length ?? 0;
  if (made !== jobs.length) wrong.push(`${jobs.length} trainings made ${made} versions`);
}

async function allRuns(): Promise<Run[]> {
  const { experiments } = await askOnce<{ experiments: { experiment_id: string }[] }>(
    "POST",
    "/api/2.0/mlflow/experiments/search",
    { max_results: 100 },
  );
  const experiment_ids = experiments.map(({ experiment_id }) => experiment_id);
  const found: Run[] = [];
  let page_token: string | undefined;
  do {
    const page = await askOnce<{ runs?: Run[]; next_page_token?: string }>(
      "POST",
      "/api/2.0/mlflow/runs/search",
      { experiment_ids, max_results: 200, page_token },
    );
    found.push(...(page.runs ?? []));
    page_token = page.next_page_token;
  } while (page_token !== undefined && page_token !== "");
  return found;
}

function tagOf({ data }: Run, key: string): string | undefined {
  return data.tags.find((tag) => tag.key === key)?.value;
}

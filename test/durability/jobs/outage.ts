import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ownPostgres } from "../../support/postgres-server.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { startServerProcess } from "../server-process.ts";

// node tools/node22.mjs test/durability/jobs/outage.ts [--seconds 30 --writers 8 --mode fast]
// The server over a PostgreSQL of its own, under load, with jobs and timers running. PostgreSQL stops for so long, and
// comes back. Meanwhile answers are 503 with Retry-After, and /health is; two seconds after its return all is well; nothing
// acknowledged is missing, and every job succeeds in its first attempt that counts.

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    writers: { type: "string", default: "8" },
    // `fast` as at a maintenance, `immediate` as in a crash.
    mode: { type: "string", default: "fast" },
  },
});
const outageMs = Number(values.seconds) * 1000;
const writers = Number(values.writers);
const wellWithinMs = 2_000;
/** What was under way when it stopped waits for so long whether it comes back at once. */
const patienceMs = 6_000;

interface Answer {
  readonly path: string;
  readonly sentMs: number;
  readonly endedMs: number;
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: Record<string, unknown>;
}

const own = await ownPostgres();
if (own === undefined) process.exit(0);
const data = await temporaryDirectory();
const server = await startServerProcess(data.path, {
  env: { KETLINE_DATABASE: own.url, KETLINE_LOG_LEVEL: "silent" },
});
const answers: Answer[] = [];
const runs: string[] = [];
const jobs: string[] = [];
const wrong: string[] = [];
let isOver = false;
try {
  await prepare();
  const load = [...Array.from({ length: writers }, writeRuns), submitTrainings(), submitQuantumJobs()];
  await sleep(2_000);
  const underWay = await jobsIn("running");
  const stoppedMs = performance.now();
  own.stop(values.mode === "immediate" ? "immediate" : "fast");
  const health: Answer[] = [];
  while (performance.now() - stoppedMs < outageMs) {
    health.push(await ask("GET", "/health"));
    await sleep(250);
  }
  own.start();
  const backMs = performance.now();
  let wellMs = Number.POSITIVE_INFINITY;
  while (wellMs === Number.POSITIVE_INFINITY && performance.now() - backMs < 30_000) {
    if ((await ask("GET", "/health")).status === 200) wellMs = performance.now() - backMs;
    else await sleep(50);
  }
  await sleep(4_000);
  isOver = true;
  await Promise.all(load);

  if (server.ended() !== undefined) wrong.push(`the server ended (${server.ending()})`);
  if (wellMs > wellWithinMs) wrong.push(`/health was well ${Math.round(wellMs)} ms after its return`);
  const during = ({ sentMs, endedMs }: Answer) => sentMs > stoppedMs + 500 && endedMs < backMs - 1_000;
  for (const answer of health.filter(during)) {
    if (answer.status !== 503) wrong.push(`/health was ${answer.status} in the middle`);
  }
  const refused = answers.filter(({ status }) => status !== 200 && status !== 202);
  for (const { path, status, retryAfter, sentMs, endedMs, body } of refused) {
    const at = `${path}, ${Math.round(sentMs - stoppedMs)} ms after the stop`;
    const words = JSON.stringify(body).slice(0, 200);
    if (status !== 503) wrong.push(`${at}: answered ${status} ${words}`);
    else if (retryAfter === null && !isUncertain(body)) wrong.push(`${at}: no Retry-After: ${words}`);
    if (sentMs > backMs + wellWithinMs) wrong.push(`${at}: refused after its return: ${words}`);
    if (sentMs < stoppedMs - patienceMs) wrong.push(`${at}: refused before the stop: ${words}`);
    if (endedMs - sentMs > patienceMs) wrong.push(`${at}: took ${Math.round(endedMs - sentMs)} ms`);
  }
  wrong.push(...(await lostRuns()), ...(await unfinishedJobs()));
  const seen = (count: number, what: string) => `${count} ${what}`;
  console.log(
    [
      seen(answers.length, "requests"),
      seen(refused.length, "refused"),
      seen(refused.filter(({ body }) => isUncertain(body)).length, "of unknown outcome"),
      seen(runs.length, "runs and"),
      seen(jobs.length, "jobs acknowledged"),
      seen(underWay, "of them running at the stop"),
    ].join(", "),
  );
  console.log(
    `PostgreSQL was away for ${Math.round((backMs - stoppedMs) / 1000)} s; well ${Math.round(wellMs)} ms after its return; ${wrong.length} wrong`,
  );
} finally {
  await server.kill();
  own.remove();
  await data.remove();
}
for (const sentence of wrong.slice(0, 40)) console.error(sentence);
process.exit(wrong.length === 0 ? 0 : 1);

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const sentMs = performance.now();
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { "content-type": typeof body === "string" ? "text/csv" : "application/json" },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    path,
    sentMs,
    endedMs: performance.now(),
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    body: /json/.test(response.headers.get("content-type") ?? "") && text !== "" ? JSON.parse(text) : {},
  };
}

async function prepare(): Promise<void> {
  const rows = Array.from({ length: 5_000 }, (_, n) => `${n},${(n * 7919) % 997},${n % 3 === 0 ? 1 : 0}`);
  await ask("POST", "/api/v1/datasets/rows/versions?format=csv", `a,b,y\n${rows.join("\n")}\n`);
  for (;;) {
    if ((await ask("GET", "/api/v1/datasets/rows/versions/latest")).status === 200) return;
    await sleep(100);
  }
}

/** Asks without ever stopping, as clients do that know no Retry-After. */
async function writeRuns(): Promise<void> {
  while (!isOver) {
    const created = await ask("POST", "/api/2.0/mlflow/runs/create", { experiment_id: "0" });
    answers.push(created);
    if (created.status === 200) {
      const { run_id } = (created.body.run as { info: { run_id: string } }).info;
      runs.push(run_id);
      const metric = { run_id, key: "loss", value: 0.5, timestamp: 1, step: 0 };
      answers.push(await ask("POST", "/api/2.0/mlflow/runs/log-metric", metric));
    }
    answers.push(await ask("GET", "/api/v1/deployments"));
    await sleep(20);
  }
}

async function submitTrainings(): Promise<void> {
  const training = {
    dataset: "rows",
    task: "binary",
    target: { column: "y", greaterThan: 0 },
    features: [{ column: "a" }, { column: "b" }],
    split: { holdoutFraction: 0.3, seed: 1 },
    algorithm: { kind: "boosting", trees: 300 },
  };
  await submitting("/api/v1/training", training, 900);
}

async function submitQuantumJobs(): Promise<void> {
  const source = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; bit c; h q; c = measure q;';
  const log = { experiment: "quantum" };
  await submitting("/api/v1/quantum/jobs", { language: "openqasm", source, shots: 200, log }, 700);
}

async function submitting(path: string, body: unknown, everyMs: number): Promise<void> {
  while (!isOver) {
    const answer = await ask("POST", path, body);
    answers.push(answer);
    if (answer.status === 202) jobs.push(String(answer.body.id));
    await sleep(everyMs);
  }
}

/** Nobody knows whether it was done: to send it again by itself would be wrong. */
function isUncertain(body: Record<string, unknown>): boolean {
  return JSON.stringify(body).includes("may or may not have been made");
}

async function jobsIn(state: string): Promise<number> {
  const { body } = await ask("GET", `/api/v1/jobs?state=${state}&limit=100`);
  return (body.items as unknown[]).length;
}

async function lostRuns(): Promise<string[]> {
  const lost: string[] = [];
  for (const id of runs) {
    const { status } = await ask("GET", `/api/2.0/mlflow/runs/get?run_id=${id}`);
    if (status !== 200) lost.push(`run ${id} was acknowledged and is not there (${status})`);
  }
  return lost;
}

async function unfinishedJobs(): Promise<string[]> {
  const untilMs = performance.now() + 240_000;
  const found: string[] = [];
  for (const id of jobs) {
    for (;;) {
      const { status, body } = await ask("GET", `/api/v1/jobs/${id}`);
      const { state, attempt, error } = body as { state: string; attempt: number; error: string | null };
      if (status !== 200) found.push(`job ${id} was acknowledged and is not there (${status})`);
      else if (state === "queued" || state === "running") {
        if (performance.now() < untilMs) {
          await sleep(200);
          continue;
        }
        found.push(`job ${id} is still ${state}`);
      } else if (state !== "succeeded") found.push(`job ${id} has ${state}: ${error}`);
      else if (attempt !== 1) found.push(`job ${id} counts ${attempt} attempts`);
      break;
    }
  }
  // Runs of trainings and quantum jobs end with them; those of the load were never to end.
  const experiments = await ask("POST", "/api/2.0/mlflow/experiments/search", { max_results: 100 });
  const named = (experiments.body.experiments as { experiment_id: string; name: string }[]).filter(
    ({ name }) => name !== "Default",
  );
  const open = await ask("POST", "/api/2.0/mlflow/runs/search", {
    experiment_ids: named.map(({ experiment_id }) => experiment_id),
    filter: "attributes.status = 'RUNNING'",
    max_results: 1000,
  });
  for (const { info } of (open.body.runs as { info: { run_id: string } }[] | undefined) ?? []) {
    found.push(`run ${info.run_id} of a job is still RUNNING`);
  }
  return found;
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { sql } from "kysely";
import { loadConfig } from "../../../shared/config.ts";
import { type Database, openDatabase } from "../../../shared/database/index.ts";
import { emptyPostgres } from "../../support/databases.ts";
import { postgresUrl } from "../../support/postgres.ts";
import { randomSource } from "../../support/random.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

// node tools/node22.mjs test/durability/jobs/submitting.ts [--kills 200 --seed 1]
// A process submits trainings, batch predictions, quantum jobs, transfers and jobs of the local workspace, and is killed
// in the middle, again and again, over SQLite and, where KETLINE_TEST_POSTGRES names a server, over PostgreSQL. No job may
// be without the row that names it, no row without its job, and nothing acknowledged may be missing.

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const random = randomSource(seed).uniform;
const script = fileURLToPath(new URL("./submitter.child.ts", import.meta.url));
const startLimitMs = 60_000;

/** Each kind of job, the table whose rows name them, and what names a row's job there. */
const named = [
  { kind: "training.fit", table: "training", job: "row.job_id" },
  { kind: "serving.batch", table: "serving_batch", job: "row.job_id" },
  { kind: "quantum.run", table: "quantum_job", job: "row.id" },
  { kind: "transfer.copy", table: "transfer", job: "row.job_id" },
] as const;

const wrong: string[] = [];
const server = postgresUrl();
await killAgain("SQLite", "");
if (server !== undefined) {
  const own = await emptyPostgres(server);
  try {
    await killAgain("PostgreSQL", own.url);
  } finally {
    await own.remove();
  }
}
for (const sentence of wrong.slice(0, 50)) console.error(sentence);
process.exitCode = wrong.length === 0 ? 0 : 1;

async function killAgain(name: string, url: string): Promise<void> {
  const data = await temporaryDirectory();
  const env = {
    PATH: process.env.PATH ?? "",
    KETLINE_DATA: data.path,
    KETLINE_LOG_LEVEL: "silent",
    ...(url === "" ? {} : { KETLINE_DATABASE: url }),
  };
  const before = wrong.length;
  const acknowledged = new Map<number, string>();
  try {
    const prepared = start(env, "prepare");
    const [code] = await once(prepared, "exit");
    if (code !== 0) throw new Error(`The data could not be prepared over ${name} (${code}).`);
    let next = 0;
    for (let kill = 1; kill <= kills; kill++) {
      const found = await submitUntilKilled(env, next);
      for (const [n, id] of found) acknowledged.set(n, id);
      // Numbers are given to eight writers at a time: those of the last ones may not have been told.
      next = Math.max(next, ...found.keys()) + 48;
      if (kill % 20 === 0 || kill === kills) {
        const database = await openDatabase(loadConfig(env).database, []);
        try {
          wrong.push(...(await orphans(database)).map((sentence) => `${name}, kill ${kill}: ${sentence}`));
          wrong.push(...(await missing(database, acknowledged)));
        } finally {
          await database.close();
        }
        console.log(
          `${name}: ${kill} kills, ${acknowledged.size} acknowledged, ${wrong.length - before} wrong (seed ${seed})`,
        );
      }
    }
  } finally {
    await data.remove();
  }
}

function start(env: Readonly<Record<string, string>>, from: string) {
  const child = spawn(process.execPath, [...process.execArgv, script, from], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.setEncoding("utf8");
  return child;
}

/** @returns what was acknowledged, by its number */
async function submitUntilKilled(env: Readonly<Record<string, string>>, from: number) {
  const child = start(env, String(from));
  let said = "";
  const begun = once(child.stdout, "data");
  child.stdout.on("data", (text: string) => {
    said += text;
  });
  const closed = once(child, "close");
  const limit = setTimeout(() => child.kill("SIGKILL"), startLimitMs);
  await Promise.race([begun, closed]);
  clearTimeout(limit);
  await sleep(random() * 250);
  const endedBefore = child.exitCode ?? child.signalCode;
  child.kill("SIGKILL");
  await closed;
  if (endedBefore !== null) throw new Error(`The process ended before it was killed (${endedBefore}).`);
  const found = new Map<number, string>();
  for (const line of said.split("\n").slice(0, -1)) {
    const [n = "", id = ""] = line.split(" ");
    found.set(Number(n), id);
  }
  return found;
}

async function orphans(database: Database): Promise<string[]> {
  const db = database.tables<unknown>();
  const ids = async (query: ReturnType<typeof sql<{ id: string }>>) =>
    (await query.execute(db)).rows.map(({ id }) => id);
  const found: string[] = [];
  for (const { kind, table, job } of named) {
    const from = sql.table(table);
    const key = sql.ref(job);
    for (const id of await ids(
      sql`select job.id from job where kind = ${kind} and not exists (select 1 from ${from} as row where ${key} = job.id)`,
    ))
      found.push(`job ${id} (${kind}) has no row in ${table}`);
    for (const id of await ids(
      sql`select ${key} as id from ${from} as row where not exists (select 1 from job where job.id = ${key})`,
    ))
      found.push(`a row in ${table} names the job ${id}, which is not there`);
  }
  for (const id of await ids(
    sql`select job.id from job where not exists
      (select 1 from audit_entry where action = 'job.submit' and subject = 'job/' || job.id)`,
  ))
    found.push(`job ${id} is not in the audit log`);
  const execution = sql`item.workspace || '/' || item.id || '@' || cast(item.created_ms as text)`;
  for (const id of await ids(
    sql`select item.id from quantum_workspace_item as item where not exists
      (select 1 from job where kind = 'quantum.execute' and idempotency_key = ${execution})`,
  ))
    found.push(`the job ${id} of the local workspace has nobody who executes it`);
  for (const id of await ids(
    sql`select job.id from job where kind = 'quantum.execute' and not exists
      (select 1 from quantum_workspace_item as item where idempotency_key = ${execution})`,
  ))
    found.push(`job ${id} executes a job of the local workspace that is not there`);
  for (const id of await ids(
    sql`select job_id as id from dataset_version where job_id is not null and not exists
      (select 1 from job where job.id = job_id)`,
  ))
    found.push(`a version of a data set names the job ${id}, which is not there`);
  return found;
}

async function missing(database: Database, acknowledged: ReadonlyMap<number, string>): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select id from job
    union all select id from quantum_workspace_item`.execute(database.tables<unknown>());
  const there = new Set(rows.map(({ id }) => id));
  return [...acknowledged].flatMap(([n, id]) =>
    there.has(id) ? [] : [`submission ${n} was acknowledged as ${id}, which is not there`],
  );
}

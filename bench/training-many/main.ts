import { createReadStream } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createPlatform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";
import { quoteText, withDuckDb } from "../../shared/duckdb/index.ts";

// npm run bench -- training-many [--keys 18000] [--rows 500] [--flights node_modules/vega-datasets/data/flights-3m.parquet]
// One model for each of so many keys, 10 numbers and 50 trees, by one server: the wall time from the request to the
// registered version, and the most memory that the server and its processes held together. With --flights the routes of
// that file instead.

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "18000" },
    rows: { type: "string", default: "500" },
    flights: { type: "string" },
  },
});

const directory = await mkdtemp(path.join(tmpdir(), "ketline-bench-many-"));
const platform = await createPlatform(
  loadConfig({ KETLINE_DATA: path.join(directory, "data"), KETLINE_LOG_LEVEL: "warn" }),
);
const ask = async (
  method: string,
  url: string,
  body?: string | ReadableStream,
  type = "application/json",
) => {
  const init = {
    method,
    ...(body === undefined ? {} : { body, headers: { "content-type": type } }),
    duplex: "half",
  };
  const answer = await platform.app.request(url, init as RequestInit, {
    incoming: { socket: { remoteAddress: "127.0.0.1" } },
  });
  const found = (await answer.json()) as Record<string, never>;
  if (answer.status >= 300) throw new Error(`${method} ${url}: ${answer.status} ${JSON.stringify(found)}`);
  return found;
};
const jobsEnd = async (id: string) => {
  for (let said = ""; ; await pause(500)) {
    const job = (await ask("GET", `/api/v1/jobs/${id}`)) as unknown as {
      state: string;
      error: string | null;
      progressMessage: string | null;
      result: unknown;
    };
    if (
      job.progressMessage !== null &&
      job.progressMessage !== said &&
      /tasks|gather|wrote/.test(job.progressMessage)
    ) {
      said = job.progressMessage;
      console.log(`  ${((performance.now() - startedMs) / 1000).toFixed(0)} s: ${said}`);
    }
    if (job.state === "succeeded") return job.result;
    if (job.state === "failed" || job.state === "cancelled") throw new Error(job.error ?? job.state);
  }
};

/** Of this process and all below it, in MiB. */
async function heldMiB(): Promise<number> {
  const parents = new Map<number, number>();
  const held = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = await readFile(`/proc/${name}/status`, "utf8").catch(() => "");
    parents.set(Number(name), Number(/^PPid:\s+(\d+)/m.exec(text)?.[1] ?? 0));
    held.set(Number(name), Number(/^RssAnon:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024);
  }
  const isOurs = (id: number): boolean => id === process.pid || (id > 1 && isOurs(parents.get(id) ?? 0));
  let sum = 0;
  for (const [id, size] of held) if (isOurs(id)) sum += size;
  return sum;
}

let most = 0;
let over = false;
let startedMs = performance.now();
try {
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, Node.js ${process.version}`,
  );
  platform.runner.start();
  const file = values.flights ?? path.join(directory, "rows.parquet");
  if (values.flights === undefined) {
    const features = Array.from({ length: 10 }, (_, index) => `random()::float as x${index}`);
    await withDuckDb({ files: [file], scratchDirectory: directory }, (duckDb) =>
      duckDb.run(
        `copy (select 'stop-' || (i % ${Number(values.keys)}) as stop, (i // ${Number(values.keys)})::integer as n, *,
           (i % ${Number(values.keys)} % 97) + 10 * x0 * x1 + 5 * x2 + random() as y from (select i, ${features.join(", ")} from range(${
             Number(values.keys) * Number(values.rows)
           }) t(i))) to ${quoteText(file)} (format parquet)`,
      ),
    );
  }
  console.log(`the file has ${((await stat(file)).size / 1024 ** 2).toFixed(0)} MiB`);
  startedMs = performance.now();
  const upload = (await ask(
    "POST",
    "/api/v1/datasets/rows/versions?format=parquet",
    Readable.toWeb(createReadStream(file)) as unknown as ReadableStream,
    "application/octet-stream",
  )) as unknown as { job: { id: string } };
  await jobsEnd(upload.job.id);
  console.log(`registered and profiled the rows in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  const watch = (async () => {
    for (; !over; await pause(200)) most = Math.max(most, await heldMiB());
  })();
  startedMs = performance.now();
  const spec =
    values.flights === undefined
      ? {
          task: "regression",
          target: { column: "y" },
          features: Array.from({ length: 10 }, (_, index) => ({ column: `x${index}` })),
          split: { holdoutFraction: 0.2 },
          rowKey: ["stop", "n"],
          partitionBy: ["stop"],
          minRows: Math.min(500, Number(values.rows)),
        }
      : {
          task: "binary",
          target: { column: "delay", greaterThan: 15 },
          derive: [
            { name: "hour", from: "date", part: "hour" },
            { name: "dayOfWeek", from: "date", part: "dayOfWeek" },
          ],
          features: [
            { column: "hour" },
            { column: "dayOfWeek", kind: "categorical" },
            { column: "distance" },
          ],
          split: {
            timeColumn: "date",
            train: { from: "2001-01-01", to: "2001-05-01" },
            holdout: { from: "2001-05-01", to: "2001-07-01" },
          },
          partitionBy: ["origin", "destination"],
          fallback: "parent",
        };
  const algorithm = { kind: "boosting", trees: 50, maxLeaves: 8 };
  const job = (await ask(
    "POST",
    "/api/v1/training",
    JSON.stringify({
      ...spec,
      dataset: "rows",
      algorithm,
      registeredModel: "many",
      promotion: { policy: "always" },
    }),
  )) as unknown as { id: string };
  const result = await jobsEnd(job.id);
  const seconds = (performance.now() - startedMs) / 1000;
  over = true;
  await watch;
  console.log(JSON.stringify(result, null, 1));
  console.log(`${seconds.toFixed(0)} s of wall time, at most ${most.toFixed(0)} MiB`);
} finally {
  over = true;
  await platform.runner.stop(1000);
  await platform.close();
  await rm(directory, { recursive: true, force: true });
}

import { execFileSync } from "node:child_process";
import path from "node:path";
import { z } from "zod";
import { createHttpClient, type HttpClient } from "./http-client.ts";
import type { Server } from "./servers.ts";

/** How many metrics and parameters each run has. */
export const width = { metrics: 10, params: 10 } as const;
const firstStartMs = 1_700_000_000_000;

const Created = z.object({ experiment_id: z.string() });
const Run = z.object({ run: z.object({ info: z.object({ run_id: z.string() }) }) });

/** Makes an experiment with so many runs of the same content on any server. @returns its id */
export async function fillExperiment(
  server: Server,
  python: string,
  { name, first, count }: { readonly name: string; readonly first: number; readonly count: number },
): Promise<string> {
  const client = createHttpClient(server.url);
  const created = await client.call("POST", "/api/2.0/mlflow/experiments/create", { name });
  client.close();
  const experimentId = Created.parse(created).experiment_id;
  if (server.database !== undefined) {
    const script = path.join(import.meta.dirname, "fill.py");
    const sizes = [first, count, width.metrics, width.params].map(String);
    execFileSync(python, [script, server.database, experimentId, ...sizes], { stdio: "inherit" });
    return experimentId;
  }
  let next = first;
  const writer = async () => {
    const own = createHttpClient(server.url);
    for (let i = next++; i < first + count; i = next++) await writeRun(own, experimentId, i);
    own.close();
  };
  await Promise.all(Array.from({ length: 8 }, writer));
  return experimentId;
}

async function writeRun(client: HttpClient, experimentId: string, i: number): Promise<void> {
  const startMs = firstStartMs + i * 1000;
  const created = await client.call("POST", "/api/2.0/mlflow/runs/create", {
    experiment_id: experimentId,
    run_name: `run-${i}`,
    user_id: "bench",
    start_time: startMs,
    tags: [{ key: "team", value: `t${i % 3}` }],
  });
  const runId = Run.parse(created).run.info.run_id;
  await client.call("POST", "/api/2.0/mlflow/runs/log-batch", {
    run_id: runId,
    metrics: Array.from({ length: width.metrics }, (_, j) => ({
      key: `m${j}`,
      value: ((i * 31 + j * 17) % 1000) / 1000,
      timestamp: startMs,
      step: 0,
    })),
    params: Array.from({ length: width.params }, (_, j) => ({ key: `p${j}`, value: `v${(i * 7 + j) % 10}` })),
  });
  await client.call("POST", "/api/2.0/mlflow/runs/update", {
    run_id: runId,
    status: "FINISHED",
    end_time: startMs + 900,
  });
}

import { z } from "zod";
import type { HttpClient } from "./http-client.ts";

/** What a server holds before the calls are played. */
export interface Ground {
  /** Experiments by how many runs they have. */
  readonly experiments: ReadonlyMap<number, string>;
  /** A run that was made for the calls. */
  readonly runId: string;
  /** A run with a metric `long` of 10,000 points. */
  readonly historyRunId: string;
  readonly model: string;
}

export interface TimedCall {
  readonly name: string;
  /** How many in each round. */
  readonly count: number;
  /** @param i counts up and is never the same twice for one server */
  play(client: HttpClient, ground: Ground, i: number): Promise<unknown>;
}

const api = "/api/2.0/mlflow";
export const mib = 1024 ** 2;

const Run = z.object({
  run: z.object({ info: z.object({ run_id: z.string(), artifact_uri: z.string() }) }),
});
const Page = z.object({ runs: z.array(z.unknown()).default([]), next_page_token: z.string().optional() });

export async function createRun(client: HttpClient, experimentId: string) {
  const body = { experiment_id: experimentId, start_time: Date.now(), user_id: "bench", tags: [] };
  return Run.parse(await client.call("POST", `${api}/runs/create`, body)).run.info;
}

const metric = (key: string, i: number) => ({ key, value: i / 7, timestamp: 1_700_000_000_000 + i, step: i });

/** The calls on metadata that MLflow's clients make most. */
export const metadataCalls: readonly TimedCall[] = [
  {
    name: "create_run",
    count: 60,
    play: (client) => createRun(client, "0"),
  },
  {
    name: "log_metric",
    count: 60,
    play: (client, { runId }, i) =>
      client.call("POST", `${api}/runs/log-metric`, { run_id: runId, ...metric("loss", i) }),
  },
  {
    name: "log_param",
    count: 60,
    play: (client, { runId }, i) =>
      client.call("POST", `${api}/runs/log-parameter`, { run_id: runId, key: `q${i}`, value: String(i) }),
  },
  {
    name: "log_batch, 10 metrics",
    count: 40,
    play: (client, { runId }, i) => logBatch(client, runId, i, 10),
  },
  {
    name: "log_batch, 1,000 metrics",
    count: 5,
    play: (client, { runId }, i) => logBatch(client, runId, i, 1000),
  },
  {
    name: "get_run",
    count: 60,
    play: (client, { historyRunId }) => client.call("GET", `${api}/runs/get?run_id=${historyRunId}`),
  },
  {
    name: "metric history, 10,000 points",
    count: 5,
    play: (client, { historyRunId }) =>
      client.call(
        "GET",
        `${api}/metrics/get-history?run_id=${historyRunId}&metric_key=long&max_results=25000`,
      ),
  },
  {
    name: "model version by alias",
    count: 60,
    play: (client, { model }) =>
      client.call("GET", `${api}/registered-models/alias?name=${model}&alias=champion`),
  },
];

function logBatch(client: HttpClient, runId: string, i: number, size: number) {
  const metrics = Array.from({ length: size }, (_, j) => metric(`b${j % 10}`, i * size + j));
  return client.call("POST", `${api}/runs/log-batch`, { run_id: runId, metrics, params: [], tags: [] });
}

/** A search as people make it: two conditions, an order, a hundred to a page, and the page after. */
export function searchCalls(runs: number): readonly TimedCall[] {
  const body = (experimentId: string, pageToken?: string) => ({
    experiment_ids: [experimentId],
    filter: "metrics.m1 > 0.5 and params.p1 = 'v3'",
    order_by: ["metrics.m2 DESC"],
    max_results: 100,
    page_token: pageToken,
  });
  const title = runs.toLocaleString("en");
  return [
    {
      name: `search of ${title} runs, filter and order`,
      count: 5,
      play: (client, { experiments }) =>
        client.call("POST", `${api}/runs/search`, body(experiments.get(runs) ?? "")),
    },
    {
      name: `search of ${title} runs, 3 pages`,
      count: 2,
      async play(client, { experiments }) {
        let token: string | undefined;
        for (let page = 0; page < 3; page++) {
          const answer = await client.call(
            "POST",
            `${api}/runs/search`,
            body(experiments.get(runs) ?? "", token),
          );
          token = Page.parse(answer).next_page_token;
          if (token === undefined) break;
        }
      },
    },
    {
      name: `newest 1,000 of ${title} runs`,
      count: 2,
      play: (client, { experiments }) =>
        client.call("POST", `${api}/runs/search`, {
          experiment_ids: [experiments.get(runs) ?? ""],
          max_results: 1000,
        }),
    },
  ];
}

/** Up and down through the server, in that order. */
export function artifactCalls(sizeMiB: number): readonly TimedCall[] {
  const path = (runId: string) => `/api/2.0/mlflow-artifacts/artifacts/0/${runId}/artifacts/${sizeMiB}.bin`;
  const count = sizeMiB === 1 ? 10 : sizeMiB < 100 ? 3 : 1;
  return [
    {
      name: `artifact of ${sizeMiB} MiB up`,
      count,
      play: (client, { runId }) => client.upload(path(runId), sizeMiB * mib),
    },
    {
      name: `artifact of ${sizeMiB} MiB down`,
      count,
      async play(client, { runId }) {
        const bytes = await client.download(path(runId));
        if (bytes !== sizeMiB * mib) throw new Error(`${bytes} bytes came back of ${sizeMiB} MiB`);
      },
    },
  ];
}

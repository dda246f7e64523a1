import { expect } from "vitest";
import { createDatasets, datasetMigrations } from "../../../models/datasets/index.ts";
import {
  createMonitoring,
  monitoringMigrations,
  type RetrainRequest,
} from "../../../models/monitoring/index.ts";
import type { MonitorResult } from "../../../models/monitoring/schemas.ts";
import { type Prediction, servingMigrations } from "../../../models/serving/index.ts";
import { buildReferenceProfile } from "../../../shared/statistics/index.ts";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { randomSource } from "../../support/random.ts";
import { registryStandIn, type ServingStandIn, servingStandIn } from "./neighbours.ts";
import { column, prediction, texts } from "./predictions.ts";

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

/** Monitoring over a stand-in of serving: predictions are given, not made. */
export interface Ground extends TestApplication {
  readonly serving: ServingStandIn;
  readonly retrained: RetrainRequest[];
  /** Rows a day, normal around a mean. */
  predictDay(mean: number, rows?: number, changes?: Partial<Prediction>): void;
  put(name: string, spec?: object): Promise<void>;
  evaluate(name: string, body?: object): Promise<MonitorResult>;
  timer(name: string): Promise<void>;
}

const open: Ground[] = [];

/** To be called after each test. */
export async function closeGrounds(): Promise<void> {
  for (const ground of open.splice(0)) await ground.close();
}

export async function ground(env: Readonly<Record<string, string>> = {}): Promise<Ground> {
  let serving: ServingStandIn | undefined;
  let monitoring: ReturnType<typeof createMonitoring> | undefined;
  const retrained: RetrainRequest[] = [];
  const base = await testGround({
    env,
    migrations: [...datasetMigrations, ...servingMigrations, ...monitoringMigrations],
    capabilities(parts) {
      serving = servingStandIn(parts);
      const datasets = createDatasets(parts);
      monitoring = createMonitoring({
        ...parts,
        serving,
        datasets,
        registry: registryStandIn(2),
        signingKey: "s".repeat(32),
        retrain: async (request) => {
          retrained.push(request);
          return "job 1";
        },
      });
      return [datasets, monitoring];
    },
  });
  const random = randomSource(7);
  let requests = 0;
  serving!.deploy("flights", "1");
  const reference = buildReferenceProfile(
    [
      { name: "distance", kind: "numeric", values: Array.from({ length: 5000 }, () => random.normal()) },
      {
        name: "origin",
        kind: "categorical",
        values: Array.from({ length: 5000 }, (_, i) => (i % 3 ? "ATL" : "JFK")),
      },
      {
        name: "output:probability",
        kind: "numeric",
        values: Array.from({ length: 5000 }, () => random.uniform()),
      },
    ],
    { seed: 1 },
  );
  for (const version of [1, 2]) {
    await base.blobs.put(
      `models/late/${version}/reference-profile.json`,
      Buffer.from(JSON.stringify(reference)),
    );
  }
  const made: Ground = {
    ...base,
    serving: serving!,
    retrained,
    predictDay(mean, rows = 400, changes = {}) {
      for (let i = 0; i < rows; i++) {
        serving!.predict(
          prediction({
            requestId: `request-${requests++}`,
            atMs: base.clock() + Math.floor((i * dayMs) / rows),
            inputs: { distance: column([random.normal() + mean]), origin: texts([i % 3 ? "ATL" : "JFK"]) },
            outputs: { probability: column([random.uniform()]) },
            ...changes,
          }),
        );
      }
    },
    async put(name, spec = {}) {
      const answer = await call(base.app, "PUT", `/api/v1/monitors/${name}`, {
        target: { deployment: "flights" },
        ...spec,
      });
      expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    },
    async evaluate(name, body = {}) {
      const { status, body: job } = await call(base.app, "POST", `/api/v1/monitors/${name}/evaluate`, body);
      expect(status, JSON.stringify(job)).toBe(202);
      await base.runner.drain();
      const ended = await base.jobs.get((job as { id: string }).id);
      expect(ended.error).toBeNull();
      expect(ended.state).toBe("succeeded");
      const outcome = ended.result as { series: string };
      const series = encodeURIComponent(outcome.series);
      return (await call(base.app, "GET", `/api/v1/monitors/${name}/results/latest?series=${series}`))
        .body as MonitorResult;
    },
    async timer(name) {
      await monitoring!.timers.find((timer) => timer.name === name)!.run();
    },
  };
  base.clock.set(Date.UTC(2026, 0, 5));
  open.push(made);
  return made;
}

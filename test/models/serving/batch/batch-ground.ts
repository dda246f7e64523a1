import { expect } from "vitest";
import { createDatasets, type Datasets, datasetMigrations } from "../../../../models/datasets/index.ts";
import { createRegistry, type Registry, registryMigrations } from "../../../../models/registry/index.ts";
import {
  batchMigrations,
  createBatchPredictions,
  createServing,
  type Serving,
  servingMigrations,
} from "../../../../models/serving/index.ts";
import { createTracking, trackingMigrations } from "../../../../models/tracking/index.ts";
import type { Capability } from "../../../../shared/capability.ts";
import { withDuckDb } from "../../../../shared/duckdb/index.ts";
import { systemActor } from "../../../../shared/identity/index.ts";
import type { WorkerPool } from "../../../../shared/jobs/index.ts";
import { call, type TestApplication, testGround } from "../../../support/application.ts";

export interface BatchGround extends TestApplication {
  readonly serving: Serving;
  readonly datasets: Datasets;
  /** Registers a version whose folder holds these files. */
  addModel(name: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<number>;
  /** Registers rows and waits until they are profiled. @returns the version */
  addDataset(name: string, rows: readonly object[]): Promise<string>;
  submit(body: object, query?: string): ReturnType<typeof call>;
  /** Submits and runs to the end of the first attempt. */
  predict(body: object): Promise<BatchJob>;
  jobOf(id: string): Promise<BatchJob>;
  /** Runs the timer that clears away what nobody goes on with. */
  sweep(): Promise<void>;
  /** The rows of a version in their order. */
  rowsOf(dataset: string, version?: string): Promise<Record<string, unknown>[]>;
}

export interface BatchJob {
  readonly id: string;
  readonly state: string;
  readonly error: string | null;
  readonly attempt: number;
  readonly progress: number;
  readonly progressMessage: string | null;
  readonly result: { readonly version: string; readonly rows: number; readonly failedRows: number } | null;
}

export interface BatchGroundOptions {
  /** Puts something between the batches and their worker threads. */
  readonly disturb?: (workers: WorkerPool) => WorkerPool;
}

/** An application with data sets, registered models, serving and batch predictions. */
export async function batchGround({
  disturb = (pool) => pool,
}: BatchGroundOptions = {}): Promise<BatchGround> {
  let registry: Registry | undefined;
  let serving: Serving | undefined;
  let datasets: Datasets | undefined;
  let batches: Capability | undefined;
  const ground = await testGround({
    migrations: [
      ...datasetMigrations,
      ...trackingMigrations,
      ...registryMigrations,
      ...servingMigrations,
      ...batchMigrations,
    ],
    capabilities(base) {
      const tracking = createTracking(base);
      registry = createRegistry({ ...base, tracking });
      datasets = createDatasets(base);
      const models = { models: registry, dataDirectory: base.directory, limits: { hosts: 2 } };
      serving = createServing({ ...base, ...models });
      const workers = disturb(base.workers);
      batches = createBatchPredictions({ ...base, ...models, workers, datasets, serving });
      return [tracking, registry, datasets, serving, batches];
    },
  });
  if (registry === undefined || serving === undefined || datasets === undefined) {
    throw new Error("The capabilities were not made.");
  }
  const [models, sets] = [registry, datasets];
  const timers = batches?.timers ?? [];
  const actor = systemActor("test");
  const { app, runner, blobs } = ground;
  const submit = (body: object, query = "") => call(app, "POST", `/api/v1/batch-predictions${query}`, body);
  const jobOf = async (id: string) => (await call(app, "GET", `/api/v1/jobs/${id}`)).body as BatchJob;
  let folders = 0;
  return {
    ...ground,
    serving,
    datasets: sets,
    submit,
    jobOf,
    async sweep() {
      for (const timer of timers) await timer.run();
    },
    async addModel(name, files) {
      const source = `mlflow-artifacts:/test-models/${name}/${++folders}`;
      await models.ensureModel(name, actor);
      const { version } = await models.createVersion({ name, source, actor });
      const prefix = await models.artifactPrefix(name, version);
      for (const [file, content] of Object.entries(files)) {
        const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
        await blobs.put(`${prefix}/${file}`, bytes);
      }
      return version;
    },
    async addDataset(name, rows) {
      const content = rows.map((row) => JSON.stringify(row)).join("\n");
      const answer = await call(app, "POST", `/api/v1/datasets/${name}/versions?format=jsonl`, content);
      expect(answer.status, JSON.stringify(answer.body)).toBe(202);
      await runner.drain();
      return (answer.body as { version: { version: string } }).version.version;
    },
    async predict(body) {
      const answer = await submit(body);
      expect(answer.status, JSON.stringify(answer.body)).toBe(202);
      const { id } = answer.body as { id: string };
      await runner.drain();
      return jobOf(id);
    },
    async rowsOf(dataset, version = "latest") {
      await runner.drain();
      const found = await sets.getVersion(dataset, version);
      return sets.withRows(found, (file) =>
        withDuckDb({ files: [file], scratchDirectory: ground.directory }, (duckDb) =>
          duckDb.rows("select * from read_parquet($1)", [file]),
        ),
      );
    },
  };
}

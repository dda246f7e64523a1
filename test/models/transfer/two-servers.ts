import { createMlflowClient, type MlflowClient } from "../../../clients/mlflow/index.ts";
import { createRegistry, registryMigrations } from "../../../models/registry/index.ts";
import { createTracking, trackingMigrations } from "../../../models/tracking/index.ts";
import { createTransfer, transferMigrations } from "../../../models/transfer/index.ts";
import type { Transfer } from "../../../models/transfer/schemas.ts";
import type { Timer } from "../../../shared/capability.ts";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";

/** Between the two servers: tests break the line here. */
export interface Line {
  /** Called before each request that crosses; throw, or answer it yourself. */
  intercept: ((request: Request) => Promise<Response | undefined> | Response | undefined) | undefined;
  /** `METHOD path` of what has crossed. */
  readonly crossed: string[];
}

export interface TwoServers {
  /** The one that has transfers. */
  readonly here: TestApplication;
  readonly there: MlflowGround;
  readonly hereClient: MlflowClient;
  readonly thereClient: MlflowClient;
  readonly line: Line;
  readonly timers: readonly Timer[];
  /** Starts a transfer and runs its job until nothing is due. */
  transfer(request: object): Promise<Transfer>;
  /** Starts one, without running it. */
  start(request: object): Promise<Transfer>;
  get(id: string): Promise<Transfer>;
  close(): Promise<void>;
}

export const thereUrl = "http://localhost:5000";

export async function twoServers(): Promise<TwoServers> {
  const there = await mlflowGround({ KETLINE_LOG_LEVEL: "warn" });
  const line: Line = { intercept: undefined, crossed: [] };
  const across: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const answer = await line.intercept?.(request);
    line.crossed.push(`${request.method} ${new URL(request.url).pathname}`);
    return answer ?? there.app.fetch(request);
  };
  const timers: Timer[] = [];
  const here = await testGround({
    env: { KETLINE_LOG_LEVEL: "warn" },
    migrations: [...trackingMigrations, ...registryMigrations, ...transferMigrations],
    capabilities: (ground) => {
      const tracking = createTracking(ground);
      const registry = createRegistry({ ...ground, tracking });
      const transfer = createTransfer({
        ...ground,
        tracking,
        registry,
        signingKey: "k".repeat(32),
        fetch: across,
        retries: { count: 0 },
      });
      timers.push(...transfer.timers);
      return [tracking, registry, transfer];
    },
  });
  const clientOf = ({ app }: TestApplication, url: string) =>
    createMlflowClient({ url, fetch: async (input, init) => app.fetch(new Request(input, init)) });

  const start = async (request: object): Promise<Transfer> => {
    const body = { server: { url: thereUrl }, ...request };
    const answer = await call(here.app, "POST", "/api/v1/transfers", body);
    if (answer.status !== 202) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as Transfer;
  };
  const get = async (id: string) => (await call(here.app, "GET", `/api/v1/transfers/${id}`)).body as Transfer;
  return {
    here,
    there,
    hereClient: clientOf(here, "http://localhost"),
    thereClient: clientOf(there, thereUrl),
    line,
    timers,
    start,
    get,
    async transfer(request) {
      const { id } = await start(request);
      await here.runner.drain();
      return get(id);
    },
    async close() {
      await here.close();
      await there.close();
    },
  };
}

/** Runs of every kind, a logged model, two versions and an alias. @returns the ids of the runs, oldest first */
export async function fill(mlflow: MlflowClient, runs: number): Promise<string[]> {
  const experiment_id = await mlflow.experiments.create({
    name: "flights",
    tags: [{ key: "team", value: "air" }],
  });
  const ids: string[] = [];
  for (let n = 0; n < runs; n++) {
    const parent = n % 4 === 3 ? [{ key: "mlflow.parentRunId", value: ids[n - 1] ?? "" }] : [];
    const { info } = await mlflow.runs.create({
      experiment_id,
      run_name: `run ${n}`,
      user_id: "ada",
      start_time: 1_700_000_000_000 + n,
      tags: [{ key: "n", value: String(n) }, ...parent],
    });
    ids.push(info.run_id);
    await mlflow.runs.logBatch(info.run_id, {
      params: [{ key: "depth", value: String(n) }],
      metrics: [0, 1, 2].flatMap((step) => [
        { key: "loss", value: 1 / (step + n + 1), step, timestamp: 1_700_000_000_000 + step },
        { key: "odd", value: step === 2 ? Number.NaN : step, step, timestamp: 1_700_000_000_000 + step },
      ]),
    });
    const dataset = { name: "flights-2001", digest: "d1", source_type: "local", source: "{}" };
    const context = [{ key: "mlflow.data.context", value: "training" }];
    await mlflow.runs.logInputs(info.run_id, { datasets: [{ tags: context, dataset }] });
    const bytes = new TextEncoder().encode(`notes of run ${n}`);
    await mlflow.artifacts.upload(info.artifact_uri, "notes/read me.txt", bytes);
    const status = (["FINISHED", "FAILED", "KILLED", "RUNNING"] as const)[n % 4];
    if (status !== "RUNNING") {
      await mlflow.runs.update(info.run_id, { status, end_time: 1_700_000_009_000 + n });
    }
  }
  const first = ids[0] ?? "";
  const model = await mlflow.loggedModels.create({ experiment_id, name: "trees", source_run_id: first });
  await mlflow.artifacts.upload(model.info.artifact_uri, "MLmodel", new TextEncoder().encode("flavors: {}"));
  await mlflow.loggedModels.finalize(model.info.model_id, "LOGGED_MODEL_READY");
  await mlflow.runs.logOutputs(first, [{ model_id: model.info.model_id, step: 1 }]);
  await mlflow.runs.logBatch(first, {
    metrics: [{ key: "auc", value: 0.9, timestamp: 5, model_id: model.info.model_id }],
  });
  await mlflow.runs.delete(ids.at(-1) ?? "");
  await mlflow.registeredModels.create({ name: "late-flights", description: "How late", tags: [] });
  await mlflow.modelVersions.create({
    name: "late-flights",
    source: `runs:/${first}/notes`,
    run_id: first,
    tags: [{ key: "by", value: "hand" }],
  });
  const { model_id } = model.info;
  await mlflow.modelVersions.create({ name: "late-flights", source: `models:/${model_id}`, model_id });
  await mlflow.modelVersions.transitionStage("late-flights", 1, "Archived");
  await mlflow.registeredModels.setAlias("late-flights", "champion", 2);
  return ids;
}

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatasets, datasetMigrations } from "../../../models/datasets/index.ts";
import { createMonitoring, monitoringMigrations } from "../../../models/monitoring/index.ts";
import type { Alert, MonitorResult } from "../../../models/monitoring/schemas.ts";
import { createRegistry, type Registry, registryMigrations } from "../../../models/registry/index.ts";
import { createServing, servingMigrations } from "../../../models/serving/index.ts";
import { createTracking, trackingMigrations } from "../../../models/tracking/index.ts";
import { systemActor } from "../../../shared/identity/index.ts";
import { buildReferenceProfile } from "../../../shared/statistics/index.ts";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { randomSource } from "../../support/random.ts";
import { bytesOf, linearModel } from "../serving/models.ts";

/** Capture, drift and rollback with the real registry and real models behind the real protocol: nothing stands in. */
const actor = systemActor("test");
const random = randomSource(5);
const normals = (count: number, mean: number) => Array.from({ length: count }, () => random.normal() + mean);

let ground: TestApplication;
let timer: (name: string) => Promise<void>;

beforeAll(async () => {
  let registry: Registry | undefined;
  let monitoring: ReturnType<typeof createMonitoring> | undefined;
  ground = await testGround({
    migrations: [
      ...trackingMigrations,
      ...registryMigrations,
      ...servingMigrations,
      ...datasetMigrations,
      ...monitoringMigrations,
    ],
    capabilities(base) {
      const tracking = createTracking(base);
      registry = createRegistry({ ...base, tracking });
      const serving = createServing({
        ...base,
        models: registry,
        dataDirectory: base.directory,
        limits: { hosts: 1 },
      });
      const datasets = createDatasets(base);
      monitoring = createMonitoring({ ...base, registry, serving, datasets, signingKey: "s".repeat(32) });
      return [tracking, registry, serving, datasets, monitoring];
    },
  });
  timer = (name) => monitoring!.timers.find((each) => each.name === name)!.run();
  await registry!.ensureModel("times", actor);
  // Version 1 passes its input on; version 2 answers infinities.
  for (const weight of [1, Number.POSITIVE_INFINITY]) {
    const source = `mlflow-artifacts:/models/times/${weight}`;
    const { version } = await registry!.createVersion({ name: "times", source, actor });
    const prefix = await registry!.artifactPrefix("times", version);
    await ground.blobs.put(`${prefix}/model.onnx`, bytesOf(linearModel([weight])));
    const reference = buildReferenceProfile(
      [
        { name: "X", kind: "numeric", values: normals(5000, 0) },
        { name: "output:Y", kind: "numeric", values: normals(5000, 0) },
      ],
      { seed: 1 },
    );
    await ground.blobs.put(`${prefix}/reference-profile.json`, Buffer.from(JSON.stringify(reference)));
  }
  await deploy("1");
  await call(ground.app, "PUT", "/api/v1/monitors/watch", {
    target: { deployment: "served" },
    policy: "rollback",
    minimumRequests: 20,
  });
}, 120_000);
afterAll(() => ground?.close());

async function deploy(version: string): Promise<void> {
  const { body: current } = await call(ground.app, "GET", "/api/v1/deployments/served");
  const { revision } = current as { revision?: number };
  const answer = await call(
    ground.app,
    "PUT",
    "/api/v1/deployments/served",
    { variants: [{ name: "main", model: "times", version, weight: 100 }] },
    revision === undefined ? {} : { "if-match": `"${revision}"` },
  );
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  ground.clock.advance(2000);
}

async function ask(values: readonly number[]): Promise<number> {
  const inputs = [{ name: "X", shape: [values.length, 1], datatype: "FP32", data: values }];
  return (await call(ground.app, "POST", "/v2/models/served/infer", { inputs })).status;
}

async function judge(): Promise<MonitorResult> {
  // Listeners hear of a prediction in the turn after its answer was handed over.
  await new Promise((resolve) => setImmediate(resolve));
  const { body } = await call(ground.app, "POST", "/api/v1/monitors/watch/evaluate", {});
  await ground.runner.drain();
  expect(await ground.jobs.get((body as { id: string }).id)).toMatchObject({
    state: "succeeded",
    error: null,
  });
  return (await call(ground.app, "GET", "/api/v1/monitors/watch/results/latest")).body as MonitorResult;
}

describe("a served model that is watched", () => {
  it("is ok while it is asked what it was trained on, and drifts when it is not", async () => {
    for (let i = 0; i < 50; i++) expect(await ask(normals(20, 0))).toBe(200);
    expect(await judge()).toMatchObject({
      model: "times",
      modelVersion: "1",
      captured: { requests: 50 },
      traffic: { requests: 50, errors: 0, invalidOutputs: 0 },
      drift: { verdict: "ok", predictionVerdict: "ok", rows: 1000 },
    });
    ground.clock.advance(24 * 3_600_000);
    for (let i = 0; i < 50; i++) await ask(normals(20, 1));
    expect((await judge()).drift).toMatchObject({
      verdict: "drift",
      predictionVerdict: "drift",
      driftedColumns: ["X", "output:Y"],
    });
  }, 60_000);

  it("is rolled back to the version before when a new one answers infinities", async () => {
    await deploy("2");
    for (let look = 0; look < 2; look++) {
      for (let i = 0; i < 30; i++) await ask([1 + look]);
      ground.clock.advance(60_000);
      await timer("monitoring-watch");
    }
    const deployment = await call(ground.app, "GET", "/api/v1/deployments/served");
    expect(deployment.body).toMatchObject({
      revision: 3,
      variants: [{ version: "1" }],
      updatedBy: { id: "system:monitor:watch" },
      reason: expect.stringContaining("answers with NaN or infinities"),
    });
    const alerts = (await call(ground.app, "GET", "/api/v1/alerts?monitor=watch")).body as { items: Alert[] };
    expect(alerts.items).toMatchObject([
      { signal: "invalid_output_rate", action: { kind: "rollback", state: "done" } },
    ]);
    ground.clock.advance(2000);
    expect(await ask([1])).toBe(200);
    const audit = await call(ground.app, "GET", "/api/v1/audit?limit=5");
    expect(JSON.stringify(audit.body)).toContain("deployment.rollback");
  }, 60_000);
});

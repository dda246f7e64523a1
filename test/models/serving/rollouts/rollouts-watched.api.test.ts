import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatasets, datasetMigrations } from "../../../../models/datasets/index.ts";
import { createMonitoring, monitoringMigrations } from "../../../../models/monitoring/index.ts";
import { createRegistry, registryMigrations } from "../../../../models/registry/index.ts";
import { createServing, servingMigrations } from "../../../../models/serving/index.ts";
import { createTracking, trackingMigrations } from "../../../../models/tracking/index.ts";
import type { Timer } from "../../../../shared/capability.ts";
import { systemActor } from "../../../../shared/identity/index.ts";
import { call, type TestApplication, testGround } from "../../../support/application.ts";
import { bytesOf, linearModel } from "../models.ts";

/** A rollout and a monitor of the same deployment, with nothing that stands in for either. */
const path = "/api/v1/deployments/served";
let ground: TestApplication;
const timers: Timer[] = [];

beforeAll(async () => {
  ground = await testGround({
    migrations: [
      ...trackingMigrations,
      ...registryMigrations,
      ...servingMigrations,
      ...datasetMigrations,
      ...monitoringMigrations,
    ],
    async capabilities(base) {
      const tracking = createTracking(base);
      const registry = createRegistry({ ...base, tracking });
      const limits = { hosts: 1 };
      const serving = createServing({ ...base, models: registry, dataDirectory: base.directory, limits });
      const datasets = createDatasets(base);
      const monitoring = createMonitoring({
        ...base,
        registry,
        serving,
        datasets,
        signingKey: "s".repeat(32),
      });
      timers.push(...serving.timers, ...monitoring.timers);
      const actor = systemActor("test");
      await registry.ensureModel("times", actor);
      for (const weight of [1, Number.POSITIVE_INFINITY]) {
        const source = `mlflow-artifacts:/models/times/${weight}`;
        const { version } = await registry.createVersion({ name: "times", source, actor });
        const prefix = await registry.artifactPrefix("times", version);
        await base.blobs.put(`${prefix}/model.onnx`, bytesOf(linearModel([weight])));
      }
      return [tracking, registry, serving, datasets, monitoring];
    },
  });
});
afterAll(() => ground?.close());

const run = (name: string) => timers.find((timer) => timer.name === name)?.run();
const ask = () => {
  const inputs = [{ name: "X", shape: [1, 1], datatype: "FP32", data: [1] }];
  const to = { "ketline-variant": "canary" };
  return call(ground.app, "POST", "/v2/models/served/infer", { inputs }, to);
};

it("a rollout ends when monitoring takes back what it brought, behind all its steps", async () => {
  const variants = [{ name: "main", model: "times", version: "1", weight: 100 }];
  await call(ground.app, "PUT", path, { variants });
  const watch = { target: { deployment: "served" }, policy: "rollback", minimumRequests: 20 };
  await call(ground.app, "PUT", "/api/v1/monitors/watch", watch);
  const started = await call(ground.app, "POST", `${path}/rollouts`, {
    target: { name: "canary", model: "times", version: "2" },
    steps: [
      { weight: 10, minutes: 600 },
      { weight: 50, minutes: 600 },
    ],
    gates: [],
  });
  const { id } = started.body as { id: string };
  await call(ground.app, "POST", `${path}/rollouts/${id}/advance`, { reason: "nobody asked yet" });
  ground.clock.advance(2000);
  for (let i = 0; i < 30; i++) expect((await ask()).status).toBe(200);
  ground.clock.advance(10_000);
  await run("monitoring-watch");
  await run("serving-rollouts");
  expect((await call(ground.app, "GET", path)).body).toMatchObject({
    revision: 4,
    variants,
    updatedBy: { id: "system:monitor:watch" },
  });
  expect((await call(ground.app, "GET", `${path}/rollouts/${id}`)).body).toMatchObject({
    state: "aborted",
    stateReason: expect.stringMatching(/^The deployment was rolled back by monitor:watch \(revision 4\)/),
    steps: [{ state: "left" }, { state: "left" }, { state: "ahead" }],
  });
});

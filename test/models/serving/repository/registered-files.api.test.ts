import { afterEach, describe, expect, it } from "vitest";
import { createRegistry, type Registry, registryMigrations } from "../../../../models/registry/index.ts";
import { createServing } from "../../../../models/serving/create-serving.ts";
import { servingMigrations } from "../../../../models/serving/index.ts";
import { createTracking, trackingMigrations } from "../../../../models/tracking/index.ts";
import { createApplication } from "../../../../shared/http/index.ts";
import { call, type TestApplication, testGround } from "../../../support/application.ts";
import { bytesOf, linearModel } from "../models.ts";

let ground: TestApplication | undefined;
afterEach(async () => {
  await ground?.close();
  ground = undefined;
});

interface Registered {
  readonly made: TestApplication;
  /** A server that has no file of the model yet answers one row. */
  predict(): Promise<{ status: number; body: unknown }>;
  readonly key: string;
}

/** One model of one file and an example beside it, registered; its answer is twice its input. */
async function registered(): Promise<Registered> {
  let registry: Registry | undefined;
  let instances = 0;
  const made = await testGround({
    migrations: [...trackingMigrations, ...registryMigrations, ...servingMigrations],
    capabilities(base) {
      const tracking = createTracking(base);
      registry = createRegistry({ ...base, tracking });
      return [tracking, registry];
    },
  });
  ground = made;
  const run = await call(made.app, "POST", "/api/2.0/mlflow/runs/create", { experiment_id: "0" });
  const { run_id: runId, artifact_uri: uri } = (run.body as { run: { info: Record<string, string> } }).run
    .info;
  const key = `artifacts/${uri?.replace("mlflow-artifacts:/", "")}/model`;
  await made.blobs.put(`${key}/model.onnx`, bytesOf(linearModel([2])));
  await made.blobs.put(`${key}/input_example.json`, bytes("{}"));
  await registry!.ensureModel("times", actor);
  await registry!.createVersion({ name: "times", source: `runs:/${runId}/model`, runId: runId ?? "", actor });
  return {
    made,
    key,
    async predict() {
      instances++;
      const serving = createServing({
        ...made,
        models: registry!,
        dataDirectory: `${made.directory}/instance-${instances}`,
        limits: { hosts: 1 },
      });
      try {
        const { identity, logger } = made;
        const app = createApplication({ routes: serving.routes, identity, logger, publicUrl: undefined });
        const inputs = [{ name: "X", shape: [1, 1], datatype: "FP32", data: [3] }];
        return await call(app, "POST", "/v2/models/times/infer", { inputs });
      } finally {
        await serving.close?.();
      }
    },
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);

const actor = { id: "test", name: "test", role: "operator", source: "system" } as const;

const auditOf = async ({ app }: TestApplication, action: string) =>
  ((await call(app, "GET", "/api/v1/audit?limit=1000")).body as { items: { action: string }[] }).items.filter(
    (entry) => entry.action === action,
  );

describe("a version's files, changed in the store past every API", () => {
  it.each<[string, (made: TestApplication, key: string) => Promise<unknown>, RegExp]>([
    [
      "other bytes",
      ({ blobs }, key) => blobs.put(`${key}/model.onnx`, bytesOf(linearModel([1000]))),
      /Version 1 of "times" is not served: The file "model\.onnx" has other bytes than were registered/,
    ],
    [
      "one more file",
      ({ blobs }, key) => blobs.put(`${key}/weights.bin`, bytes("w")),
      /"weights\.bin" is not among the files that were registered/,
    ],
    [
      "one file less",
      ({ blobs }, key) => blobs.delete(`${key}/input_example.json`),
      /"input_example\.json" .* gone/,
    ],
  ])("%s: is not served, with the file's name, and the audit log tells", async (_, change, reason) => {
    const { made, key, predict } = await registered();
    expect(await predict()).toMatchObject({ status: 200, body: { outputs: [{ data: [6] }] } });
    await change(made, key);
    const refused = await predict();
    expect(refused.status, JSON.stringify(refused.body)).toBe(409);
    expect(JSON.stringify(refused.body).replaceAll("\\", "")).toMatch(reason);
    await expect.poll(() => auditOf(made, "version.files-changed")).toHaveLength(1);
    await made.blobs.put(`${key}/model.onnx`, bytesOf(linearModel([2])));
    await made.blobs.put(`${key}/input_example.json`, bytes("{}"));
    await made.blobs.delete(`${key}/weights.bin`);
    expect(await predict()).toMatchObject({ status: 200 });
  });
});

describe("a version from before there were manifests", () => {
  it("gets one when it is first loaded, which the audit log tells, and is held to it from then on", async () => {
    const { made, key, predict } = await registered();
    await made.database.tables<{ registry_manifest: object }>().deleteFrom("registry_manifest").execute();
    expect(await predict()).toMatchObject({ status: 200 });
    expect(await auditOf(made, "version.manifest-taken")).toMatchObject([{ subject: "model/times/1" }]);
    await made.blobs.put(`${key}/model.onnx`, bytesOf(linearModel([1000])));
    expect(await predict()).toMatchObject({ status: 409 });
  });
});

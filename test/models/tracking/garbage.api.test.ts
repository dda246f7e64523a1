import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  artifactUsesOf,
  createRegistry,
  type Registry,
  registryMigrations,
} from "../../../models/registry/index.ts";
import type { TrackingContext } from "../../../models/tracking/context.ts";
import { garbageJob } from "../../../models/tracking/garbage/garbage-job.ts";
import type { GarbageReport, GarbageSpec } from "../../../models/tracking/garbage/schemas.ts";
import { createTracking, trackingMigrations } from "../../../models/tracking/index.ts";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import { systemActor } from "../../../shared/identity/actor.ts";
import { type Answer, call, type TestApplication, testGround } from "../../support/application.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";
import { bearer, createTokenFor, testAdminToken } from "../../support/tokens.ts";

const dayMs = 86_400_000;
const store = "/api/2.0/mlflow-artifacts/artifacts";
const collections = "/api/v1/tracking/garbage-collections";

interface JobAnswer {
  readonly id: string;
  readonly state: string;
  readonly error: string | null;
  readonly result: GarbageReport;
}

describe("collecting garbage", () => {
  let ground: TestApplication;
  let registry: Registry;
  beforeEach(async () => {
    ground = await testGround({
      migrations: [...trackingMigrations, ...registryMigrations],
      capabilities: (base) => {
        const tracking = createTracking({ ...base, artifactUses: artifactUsesOf(() => registry) });
        registry = createRegistry({ ...base, tracking });
        return [tracking, registry];
      },
    });
    // Files bear the time of this machine.
    ground.clock.set(Date.now());
  });
  afterEach(() => ground?.close());

  const ask = async <Body>(method: string, path: string, fields?: object) => {
    const answer = await call(ground.app, method, `/api/2.0/mlflow${path}`, fields);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body as Body;
  };
  const newExperiment = async (name: string, fields: object = {}) =>
    (await ask<{ experiment_id: string }>("POST", "/experiments/create", { name, ...fields })).experiment_id;
  const newRun = async (
    experiment_id = "0",
    files: Readonly<Record<string, string>> = { "a.txt": "12345" },
  ) => {
    const { run } = await ask<{ run: { info: { run_id: string; artifact_uri: string } } }>(
      "POST",
      "/runs/create",
      { experiment_id, run_name: "late" },
    );
    const { run_id, artifact_uri } = run.info;
    await ask("POST", "/runs/log-batch", {
      run_id,
      metrics: [{ key: "auc", value: 0.5, timestamp: 1, step: 0 }],
      params: [{ key: "rate", value: "1" }],
      tags: [{ key: "t", value: "1" }],
    });
    for (const [path, content] of Object.entries(files))
      await put(`${pathOf(artifact_uri)}/${path}`, content);
    return { runId: run_id, path: pathOf(artifact_uri) };
  };
  const pathOf = (uri: string) => uri.replace("mlflow-artifacts:/", "");
  const put = async (path: string, content: string) => {
    const answer = await call(ground.app, "PUT", `${store}/${path}`, content);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  };
  const remove = (runId: string) => ask("POST", "/runs/delete", { run_id: runId });
  const getRun = (runId: string) => call(ground.app, "GET", `/api/2.0/mlflow/runs/get?run_id=${runId}`);
  const isThere = async (path: string) => (await ground.blobs.stat(`artifacts/${path}`)) !== null;
  const collect = async (spec: object): Promise<GarbageReport> => {
    const submitted = await call(ground.app, "POST", collections, spec);
    expect(submitted.status, JSON.stringify(submitted.body)).toBe(202);
    await ground.runner.drain();
    const answer = await call(ground.app, "GET", `/api/v1/jobs/${(submitted.body as JobAnswer).id}`);
    const job = answer.body as JobAnswer;
    expect(job.state, job.error ?? "").toBe("succeeded");
    return job.result;
  };
  /** A dry run and then the real one, which must do what was said. */
  const collectBoth = async (spec: object): Promise<GarbageReport> => {
    const said = await collect({ ...spec, dryRun: true });
    const done = await collect({ ...spec, dryRun: false });
    expect({ ...said, dryRun: false, deletedBeforeMs: 0 }).toEqual({ ...done, deletedBeforeMs: 0 });
    return done;
  };
  const rowsLeft = async () => {
    const db = ground.database.tables<Record<string, Record<string, unknown>>>();
    const counts: Record<string, number> = {};
    for (const table of [
      ...["metric", "latest_metric", "param", "tag", "run_input", "run_model", "garbage"],
      ...["dataset", "experiment_tag", "logged_model_param", "logged_model_tag", "logged_model_metric"],
    ]) {
      const rows = await db.selectFrom(`tracking_${table}`).selectAll().execute();
      if (rows.length > 0) counts[table] = rows.length;
    }
    return counts;
  };
  const newModel = async (experiment_id: string, source_run_id = "") => {
    const { model } = await ask<{ model: { info: { model_id: string; artifact_uri: string } } }>(
      "POST",
      "/logged-models",
      { experiment_id, name: "late", source_run_id, params: [{ key: "p", value: "1" }] },
    );
    await put(`${pathOf(model.info.artifact_uri)}/model.onnx`, "onnx");
    return { modelId: model.info.model_id, path: pathOf(model.info.artifact_uri) };
  };

  it("removes a deleted run for good, with all that was logged to it and its files", async () => {
    const [gone, kept] = [await newRun(), await newRun()];
    await remove(gone.runId);
    ground.clock.advance(2 * dayMs);
    const report = await collectBoth({ olderThanDays: 1 });
    expect(report).toMatchObject({
      runs: 1,
      loggedModels: 0,
      experiments: 0,
      artifacts: { files: 1, bytes: 5 },
      orphans: { files: 0, bytes: 0 },
      names: { runs: [{ id: gone.runId, name: "late" }] },
    });
    expectMlflowError(await getRun(gone.runId), 404, "RESOURCE_DOES_NOT_EXIST");
    expect(await isThere(`${gone.path}/a.txt`)).toBe(false);
    expect((await getRun(kept.runId)).status).toBe(200);
    expect(await isThere(`${kept.path}/a.txt`)).toBe(true);
    expect(await rowsLeft()).toEqual({ metric: 1, latest_metric: 1, param: 1, tag: 2 });
    const restored = await call(ground.app, "POST", "/api/2.0/mlflow/runs/restore", { run_id: gone.runId });
    expectMlflowError(restored, 404, "RESOURCE_DOES_NOT_EXIST");
  });

  it("leaves what was deleted too recently, and what was restored", async () => {
    const [young, restored] = [await newRun(), await newRun()];
    await remove(restored.runId);
    ground.clock.advance(10 * dayMs);
    await ask("POST", "/runs/restore", { run_id: restored.runId });
    await remove(young.runId);
    ground.clock.advance(dayMs);
    expect(await collectBoth({ olderThanDays: 5 })).toMatchObject({ runs: 0, artifacts: { files: 0 } });
    expect((await getRun(young.runId)).status).toBe(200);
    expect(await isThere(`${restored.path}/a.txt`)).toBe(true);
  });

  it("only says what would go, unless it is told to", async () => {
    const { runId, path } = await newRun();
    await remove(runId);
    ground.clock.advance(31 * dayMs);
    expect(await collect({})).toMatchObject({ dryRun: true, runs: 1, artifacts: { files: 1, bytes: 5 } });
    expect((await getRun(runId)).status).toBe(200);
    expect(await isThere(`${path}/a.txt`)).toBe(true);
    expect(await ground.audit.list({}, undefined, 100).then(actions)).not.toContain(
      "tracking.collect-garbage",
    );
  });

  it("removes a deleted experiment with all its runs and models, and frees its name", async () => {
    const id = await newExperiment("flights", { tags: [{ key: "team", value: "a" }] });
    const run = await newRun(id);
    const model = await newModel(id, run.runId);
    await ask("POST", "/runs/log-inputs", {
      run_id: run.runId,
      datasets: [{ tags: [], dataset: { name: "d", digest: "1", source_type: "s", source: "x" } }],
    });
    await ask("POST", "/experiments/delete", { experiment_id: id });
    ground.clock.advance(2 * dayMs);
    expect(await collectBoth({ olderThanDays: 1 })).toMatchObject({
      runs: 1,
      loggedModels: 1,
      experiments: 1,
      artifacts: { files: 2, bytes: 9 },
      names: {
        loggedModels: [{ id: model.modelId, name: "late" }],
        experiments: [{ id, name: "flights" }],
      },
    });
    expect(await rowsLeft()).toEqual({});
    expect((await ground.blobs.list("artifacts/")).blobs).toEqual([]);
    const again = await newExperiment("flights");
    expect(Number(again)).toBeGreaterThan(Number(id));
  });

  it("keeps an active experiment, and the default one even when it is deleted", async () => {
    const id = await newExperiment("active");
    await remove((await newRun(id)).runId);
    await ask("POST", "/experiments/delete", { experiment_id: "0" });
    ground.clock.advance(2 * dayMs);
    expect(await collectBoth({ olderThanDays: 1 })).toMatchObject({ runs: 1, experiments: 0 });
    await ask("GET", `/experiments/get?experiment_id=${id}`);
    await ask("POST", "/experiments/restore", { experiment_id: "0" });
  });

  it("removes a deleted logged model, and not the run that made it", async () => {
    const run = await newRun();
    const model = await newModel("0", run.runId);
    await ask("DELETE", `/logged-models/${model.modelId}`);
    ground.clock.advance(2 * dayMs);
    expect(await collectBoth({ olderThanDays: 1 })).toMatchObject({ runs: 0, loggedModels: 1 });
    expect(await isThere(`${model.path}/model.onnx`)).toBe(false);
    expect((await getRun(run.runId)).status).toBe(200);
  });

  it.each([
    ["runs:/<run>/model", (runId: string, path: string) => ({ source: `runs:/${runId}/model`, path })],
    ["the place of its files", (_: string, path: string) => ({ source: `mlflow-artifacts:/${path}/model` })],
  ])("keeps a deleted run that a registered version was made of, by %s", async (_, sourceOf) => {
    const id = await newExperiment("champions");
    const { runId, path } = await newRun(id, { "model/model.onnx": "onnx", "other.txt": "x" });
    await ask("POST", "/registered-models/create", { name: "late" });
    const { source } = sourceOf(runId, path);
    await ask("POST", "/model-versions/create", { name: "late", source });
    await ask("POST", "/experiments/delete", { experiment_id: id });
    ground.clock.advance(2 * dayMs);
    expect(await collectBoth({ olderThanDays: 1 })).toMatchObject({
      runs: 0,
      experiments: 0,
      kept: { runs: 1, loggedModels: 0 },
      artifacts: { files: 0 },
      orphans: { files: 0 },
    });
    expect(await isThere(`${path}/model/model.onnx`)).toBe(true);

    await ask("DELETE", "/model-versions/delete", { name: "late", version: "1" });
    expect(await collectBoth({ olderThanDays: 1 })).toMatchObject({
      runs: 1,
      experiments: 1,
      kept: { runs: 0 },
      artifacts: { files: 2 },
    });
    expect(await isThere(`${path}/model/model.onnx`)).toBe(false);
  });

  it("keeps a deleted logged model that a registered version was made of", async () => {
    const model = await newModel("0");
    await ask("POST", "/registered-models/create", { name: "late" });
    await ask("POST", "/model-versions/create", { name: "late", source: `models:/${model.modelId}` });
    await ask("DELETE", `/logged-models/${model.modelId}`);
    ground.clock.advance(2 * dayMs);
    expect(await collectBoth({ olderThanDays: 1 })).toMatchObject({
      loggedModels: 0,
      kept: { runs: 0, loggedModels: 1 },
    });
    expect(await isThere(`${model.path}/model.onnx`)).toBe(true);
  });

  it("removes files that nothing names, once they are a day old, and none that a version names", async () => {
    const { path } = await newRun();
    await put("0/nobody/artifacts/x.bin", "123");
    await put("loose.txt", "1");
    await put("0/by-hand/model.onnx", "onnx");
    await ask("POST", "/registered-models/create", { name: "late" });
    await ask("POST", "/model-versions/create", { name: "late", source: "mlflow-artifacts:/0/by-hand" });
    ground.clock.advance(dayMs / 2);
    expect(await collectBoth({ olderThanDays: 0 })).toMatchObject({ orphans: { files: 0 } });
    ground.clock.advance(dayMs);
    expect(await collectBoth({ olderThanDays: 0 })).toMatchObject({
      runs: 0,
      orphans: { files: 2, bytes: 4 },
      names: { orphans: ["0/nobody/artifacts/x.bin", "loose.txt"] },
    });
    expect(await isThere("loose.txt")).toBe(false);
    expect(await isThere("0/by-hand/model.onnx")).toBe(true);
    expect(await isThere(`${path}/a.txt`)).toBe(true);
  });

  it("touches nothing of others, whatever its age", async () => {
    for (const key of [
      "datasets/flights/x.csv",
      "captures/late/1.jsonl",
      "artifactsmith/x",
      "quantum/1/out",
    ]) {
      await ground.blobs.put(key, new Uint8Array(1));
    }
    ground.clock.advance(400 * dayMs);
    expect(await collectBoth({ olderThanDays: 0 })).toMatchObject({ orphans: { files: 0 } });
    expect((await ground.blobs.list("")).blobs).toHaveLength(4);
  });

  it("keeps the files of a run that lies among the artifacts of a deleted one", async () => {
    const outer = await newRun();
    const id = await newExperiment("inside", { artifact_location: `mlflow-artifacts:/${outer.path}/inner` });
    const inner = await newRun(id);
    await remove(outer.runId);
    ground.clock.advance(2 * dayMs);
    expect(await collectBoth({ olderThanDays: 1 })).toMatchObject({ runs: 1, artifacts: { files: 1 } });
    expect(await isThere(`${inner.path}/a.txt`)).toBe(true);
  });

  it("stays within the experiments that are named, and knows them", async () => {
    const [one, other] = [await newExperiment("one"), await newExperiment("other")];
    const runs = [await newRun(one), await newRun(other)];
    for (const { runId } of runs) await remove(runId);
    await put(`${one}/lost.txt`, "1");
    await put(`${other}/lost.txt`, "1");
    ground.clock.advance(2 * dayMs);
    expect(await collectBoth({ olderThanDays: 1, experimentIds: [one] })).toMatchObject({
      names: { runs: [{ id: runs[0]?.runId }], orphans: [`${one}/lost.txt`] },
    });
    expect((await getRun(runs[1]?.runId ?? "")).status).toBe(200);
    const unknown: Answer = await call(ground.app, "POST", collections, { experimentIds: ["777"] });
    expect([unknown.status, unknown.body]).toEqual([
      404,
      expect.objectContaining({ detail: expect.stringContaining("id=777") }),
    ]);
  });

  it("is for administrators", async () => {
    const guarded = await testGround({
      env: { KETLINE_ADMIN_TOKEN: testAdminToken },
      migrations: [...trackingMigrations, ...registryMigrations],
      capabilities: (base) => [createTracking({ ...base, artifactUses: artifactUsesOf(() => registry) })],
    });
    try {
      const operator = bearer(await createTokenFor(guarded.app, "operator"));
      expect((await call(guarded.app, "POST", collections, {}, operator)).status).toBe(403);
      expect((await call(guarded.app, "POST", collections, {}, bearer(testAdminToken))).status).toBe(202);
    } finally {
      await guarded.close();
    }
  });

  it("refuses what it does not understand", async () => {
    for (const body of [
      { olderThanDays: -1 },
      { olderThan: 3 },
      { experimentIds: [] },
      { experimentIds: ["x"] },
    ]) {
      expect((await call(ground.app, "POST", collections, body)).status).toBe(400);
    }
  });

  it("writes down who removed how much", async () => {
    await remove((await newRun()).runId);
    ground.clock.advance(2 * dayMs);
    await collect({ olderThanDays: 1, dryRun: false });
    const entries = await ground.audit.list({}, undefined, 100);
    const entry = entries.find(({ action }) => action === "tracking.collect-garbage");
    expect(entry?.after).toMatchObject({
      runs: 1,
      artifacts: { files: 1, bytes: 5 },
      olderThanDays: 1,
      experimentIds: null,
    });
  });

  describe("when it is cut off or not alone", () => {
    const contextWith = (blobs: BlobStore): TrackingContext => ({
      ...{ database: ground.database, clock: ground.clock, audit: ground.audit },
      ...{ blobs, maxArtifactBytes: 1 },
    });
    const runJob = (blobs: BlobStore, spec: Partial<GarbageSpec> = {}) =>
      garbageJob(
        contextWith(blobs),
        artifactUsesOf(() => registry),
      ).run({
        jobId: "j",
        spec: { olderThanDays: 1, dryRun: false, ...spec },
        attempt: 1,
        isEndedBy: () => false,
        actor: systemActor("test"),
        actorNow: async () => systemActor("test"),
        signal: new AbortController().signal,
        log: () => {},
        progress: () => {},
      });
    /** A store whose machine goes down at the n-th deletion. */
    const failingAfter = (deletions: number): BlobStore => {
      let left = deletions;
      return {
        ...ground.blobs,
        async delete(key) {
          if (left-- <= 0) throw new Error("The machine went down.");
          return ground.blobs.delete(key);
        },
      };
    };

    it("shows no run of which something is missing, and the next one finishes the work", async () => {
      const files = Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`f${index}`, "x"]));
      const runs = [await newRun("0", files), await newRun("0", files), await newRun("0", files)];
      for (const { runId } of runs) await remove(runId);
      ground.clock.advance(2 * dayMs);
      for (const deletions of [0, 3, 7]) {
        await expect(runJob(failingAfter(deletions))).rejects.toThrow("The machine went down.");
        for (const { runId, path } of runs) {
          if ((await getRun(runId)).status !== 200) continue;
          for (const name of Object.keys(files)) expect(await isThere(`${path}/${name}`)).toBe(true);
        }
      }
      const left = (await ground.blobs.list("artifacts/")).blobs.length;
      expect(left).toBeGreaterThan(0);
      expect(await runJob(ground.blobs, { dryRun: true })).toMatchObject({
        artifacts: { files: left },
        orphans: { files: 0 },
      });
      expect(await runJob(ground.blobs)).toMatchObject({ artifacts: { files: left }, orphans: { files: 0 } });
      expect((await ground.blobs.list("artifacts/")).blobs).toEqual([]);
      expect(await rowsLeft()).toEqual({});
    });

    it("shares the work with others, and each counts what it did itself", async () => {
      const runs = await Promise.all(Array.from({ length: 12 }, () => newRun()));
      for (const { runId } of runs) await remove(runId);
      ground.clock.advance(2 * dayMs);
      const reports = await Promise.all([1, 2, 3].map(() => runJob(ground.blobs)));
      const sum = (numberOf: (report: GarbageReport) => number) =>
        reports.reduce((total, report) => total + numberOf(report), 0);
      expect(sum((report) => report.runs)).toBe(12);
      expect(sum((report) => report.artifacts.files + report.orphans.files)).toBe(12);
      expect(await rowsLeft()).toEqual({});
      expect(await runJob(ground.blobs)).toMatchObject({ runs: 0, artifacts: { files: 0 } });
    });

    it("stops between two batches when it is cancelled", async () => {
      await remove((await newRun()).runId);
      ground.clock.advance(2 * dayMs);
      const cancelled = AbortSignal.abort(new Error("cancelled"));
      const job = garbageJob(
        contextWith(ground.blobs),
        artifactUsesOf(() => registry),
      );
      await expect(
        job.run({
          ...{ jobId: "j", attempt: 1, isEndedBy: () => false, signal: cancelled },
          ...{ actor: systemActor("test"), actorNow: async () => systemActor("test") },
          spec: { olderThanDays: 1, dryRun: false },
          ...{ log: () => {}, progress: () => {} },
        }),
      ).rejects.toThrow("cancelled");
    });
  });
});

function actions(entries: readonly { readonly action: string }[]): string[] {
  return entries.map(({ action }) => action);
}

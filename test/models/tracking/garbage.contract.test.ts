import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storeOf, type TrackingContext, transact } from "../../../models/tracking/context.ts";
import { createExperiment, deleteExperiment } from "../../../models/tracking/experiments.ts";
import {
  condemn,
  condemnExperiment,
  countGarbage,
  deleteLeftovers,
  forget,
  selectCondemned,
  selectGarbage,
  selectGarbageExperiments,
  selectOwners,
} from "../../../models/tracking/garbage/store.ts";
import { createLoggedModel, deleteLoggedModel } from "../../../models/tracking/logged-models.ts";
import { logBatch } from "../../../models/tracking/logging.ts";
import { trackingMigrations } from "../../../models/tracking/migrations.ts";
import { changeRunStage, createRun } from "../../../models/tracking/runs.ts";
import {
  endUpload,
  findUpload,
  insertUpload,
  selectExpiredUploads,
} from "../../../models/tracking/store/uploads.ts";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { Database } from "../../../shared/database/index.ts";
import { systemActor } from "../../../shared/identity/actor.ts";
import { databaseCases } from "../../support/databases.ts";

const actor = systemActor("test");
const deletedMs = 1_800_000_000_000;

describe.each(databaseCases())("the garbage of tracking on $name", ({ open }) => {
  let database: Database;
  let context: TrackingContext;
  beforeAll(async () => {
    database = await open(trackingMigrations);
    context = {
      database,
      blobs: null as unknown as BlobStore, // no files in this test
      clock: () => deletedMs,
      audit: { record: async () => undefined },
      maxArtifactBytes: 0,
    };
  });
  afterAll(() => database?.close());

  const newExperiment = () =>
    createExperiment(context, { name: randomUUID(), tags: [{ key: "t", value: "1" }] }, actor);
  const newRun = async (experimentId: string) =>
    (await createRun(context, { experimentId, userId: "", name: "r", tags: [] })).run_id;
  const scopeOf = (experimentId: string, cutoffMs = deletedMs + 1) => ({
    cutoffMs,
    experimentIds: [Number(experimentId)],
  });

  it("is what was deleted before the cutoff, in pages", async () => {
    const experimentId = await newExperiment();
    const runs = await Promise.all([1, 2, 3, 4].map(() => newRun(experimentId)));
    for (const runId of runs.slice(0, 3)) await changeRunStage(context, runId, "deleted", actor);
    const scope = scopeOf(experimentId);
    const store = storeOf(context);
    const deleted = runs.slice(0, 3).toSorted();
    const first = await selectGarbage(store, "run", scope, { after: "", limit: 2 });
    expect(first.map(({ id }) => id)).toEqual(deleted.slice(0, 2));
    expect(first[0]).toEqual({
      id: deleted[0],
      name: "r",
      experiment_id: Number(experimentId),
      artifact_uri: `mlflow-artifacts:/${experimentId}/${deleted[0]}/artifacts`,
    });
    const rest = await selectGarbage(store, "run", scope, { after: deleted[1] ?? "", limit: 2 });
    expect(rest.map(({ id }) => id)).toEqual(deleted.slice(2));
    expect(await countGarbage(store, "run", scope)).toBe(3);
    expect(await countGarbage(store, "run", scopeOf(experimentId, deletedMs))).toBe(0);
  });

  it("takes runs and models of a deleted experiment along, and only then the experiment", async () => {
    const experimentId = await newExperiment();
    const runId = await newRun(experimentId);
    const { model_id } = await createLoggedModel(context, {
      ...{ experiment_id: experimentId, name: "m", model_type: "", source_run_id: "" },
      ...{ params: [{ key: "p", value: "1" }], tags: [] },
    });
    await deleteExperiment(context, experimentId, actor);
    await changeRunStage(context, runId, "active", actor);
    const [scope, number] = [scopeOf(experimentId), Number(experimentId)];
    expect(await selectGarbageExperiments(storeOf(context), scope, { after: 0, limit: 9 })).toHaveLength(1);
    const take = () => transact(context, (trx) => condemnExperiment(trx, number, scope.cutoffMs, 1));
    expect(await take()).toBe(false);
    for (const [kind, id] of [
      ["run", runId],
      ["model", model_id],
    ] as const) {
      expect(await transact(context, (trx) => condemn(trx, kind, scope, [id], 1))).toMatchObject([{ id }]);
    }
    expect(await take()).toBe(true);
    expect(await take()).toBe(false);
    const left = await selectCondemned(storeOf(context), undefined, 100);
    expect(left.filter((row) => row.experiment_id === number).map(({ kind, id }) => [kind, id])).toEqual([
      ["experiment", experimentId],
      ["model", model_id],
      ["run", runId],
    ]);
  });

  it("does not hold what was restored in between", async () => {
    const experimentId = await newExperiment();
    const [restored, deleted] = [await newRun(experimentId), await newRun(experimentId)];
    await changeRunStage(context, deleted, "deleted", actor);
    const taken = await transact(context, (trx) =>
      condemn(trx, "run", scopeOf(experimentId), [restored, deleted, "nobody"], 1),
    );
    expect(taken.map(({ id }) => id)).toEqual([deleted]);
  });

  it("is taken once, however many take it", async () => {
    const experimentId = await newExperiment();
    const runs = await Promise.all(Array.from({ length: 8 }, () => newRun(experimentId)));
    for (const runId of runs) await changeRunStage(context, runId, "deleted", actor);
    const scope = scopeOf(experimentId);
    const taken = await Promise.all(
      [1, 2, 3].map(() => transact(context, (trx) => condemn(trx, "run", scope, runs, 1))),
    );
    expect(
      taken
        .flat()
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(runs.toSorted());
  });

  it("is removed some rows at a time, and nobody else's", async () => {
    const experimentId = await newExperiment();
    const [gone, kept] = [await newRun(experimentId), await newRun(experimentId)];
    for (const runId of [gone, kept]) {
      await logBatch(context, runId, {
        metrics: Array.from({ length: 25 }, (_, step) => ({ key: "loss", value: step, timestamp: 1, step })),
        params: [{ key: "p", value: "1" }],
        tags: [],
      });
    }
    await changeRunStage(context, gone, "deleted", actor);
    const [row] = await transact(context, (trx) => condemn(trx, "run", scopeOf(experimentId), [gone], 1));
    const counts: number[] = [];
    for (let count = 1; count > 0; counts.push(count)) {
      count = await transact(context, (trx) => deleteLeftovers(trx, { kind: "run", id: row?.id ?? "" }, 10));
    }
    expect(counts).toEqual([10, 10, 5, 1, 1, 1, 0]);
    const { db } = storeOf(context);
    for (const [table, rows] of [
      ["tracking_metric", 25],
      ["tracking_param", 1],
    ] as const) {
      expect(await db.selectFrom(table).select("run_id").where("run_id", "=", kept).execute()).toHaveLength(
        rows,
      );
    }
    const mine = (await selectCondemned(storeOf(context), undefined, 1000)).find(({ id }) => id === gone);
    await forget(storeOf(context), mine!);
    expect((await selectCondemned(storeOf(context), undefined, 1000)).map(({ id }) => id)).not.toContain(
      gone,
    );
  });

  it("of models and experiments is removed as well", async () => {
    const experimentId = await newExperiment();
    const { model_id } = await createLoggedModel(context, {
      ...{ experiment_id: experimentId, name: "m", model_type: "", source_run_id: "" },
      ...{ params: [{ key: "p", value: "1" }], tags: [{ key: "t", value: "1" }] },
    });
    const remove = (kind: "model" | "experiment", id: string) =>
      transact(context, (trx) => deleteLeftovers(trx, { kind, id }, 10));
    expect([
      await remove("model", model_id),
      await remove("model", model_id),
      await remove("model", model_id),
    ]).toEqual([1, 1, 0]);
    expect([await remove("experiment", experimentId), await remove("experiment", experimentId)]).toEqual([
      1, 0,
    ]);
  });

  it("tells owners that may go from those that stay", async () => {
    const experimentId = await newExperiment();
    const [gone, kept] = [await newRun(experimentId), await newRun(experimentId)];
    const { model_id } = await createLoggedModel(context, {
      ...{ experiment_id: experimentId, name: "m", model_type: "", source_run_id: "", params: [], tags: [] },
    });
    await changeRunStage(context, gone, "deleted", actor);
    await deleteLoggedModel(context, model_id, actor);
    const owners = await selectOwners(
      storeOf(context),
      [gone, kept, model_id, "artifacts", experimentId],
      scopeOf(experimentId),
    );
    const flags = new Map(owners.map(({ id, is_garbage }) => [id, Number(is_garbage)]));
    expect(flags).toEqual(
      new Map([
        [gone, 1],
        [kept, 0],
        [model_id, 1],
      ]),
    );
  });
});

describe.each(databaseCases())("uploads in parts on $name", ({ open }) => {
  it("end once, and are found when their time is over", async () => {
    const database = await open(trackingMigrations);
    try {
      const store = storeOf({ database });
      const upload = { blob_key: "artifacts/x", part_count: 2, state: "open", created_ms: 1 } as const;
      await insertUpload(store, { ...upload, upload_id: "late", expires_ms: 3_000_000_000_000 });
      await insertUpload(store, { ...upload, upload_id: "early", expires_ms: 2_000_000_000_000 });
      const ended = await Promise.all([
        endUpload(store, "early", "completed"),
        endUpload(store, "early", "aborted"),
      ]);
      expect(ended.filter(Boolean)).toHaveLength(1);
      expect(await findUpload(store, "late")).toMatchObject({ state: "open", expires_ms: 3_000_000_000_000 });
      const expired = await selectExpiredUploads(store, 2_000_000_000_001, 10);
      expect(expired.map(({ upload_id }) => upload_id)).toEqual(["early"]);
    } finally {
      await database.close();
    }
  });
});

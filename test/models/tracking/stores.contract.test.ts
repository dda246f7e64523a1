import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TrackingContext } from "../../../models/tracking/context.ts";
import { createExperiment, deleteExperiment, getExperiment } from "../../../models/tracking/experiments.ts";
import {
  createLoggedModel,
  getLoggedModel,
  noteModelVersion,
  searchLoggedModels,
} from "../../../models/tracking/logged-models.ts";
import { logBatch, logInputs, logMetric, logOutputs, setTag } from "../../../models/tracking/logging.ts";
import { getHistory, getHistoryBulk, getHistoryInterval } from "../../../models/tracking/metrics.ts";
import { trackingMigrations } from "../../../models/tracking/migrations.ts";
import { changeRunStage, createRun, getRun, searchRuns } from "../../../models/tracking/runs.ts";
import { SearchLoggedModels, SearchRuns } from "../../../models/tracking/schemas.ts";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { Database } from "../../../shared/database/index.ts";
import { systemActor } from "../../../shared/identity/actor.ts";
import { databaseCases } from "../../support/databases.ts";

const actor = systemActor("test");

describe.each(databaseCases())("tracking on $name", ({ open }) => {
  let database: Database;
  let context: TrackingContext;
  beforeAll(async () => {
    database = await open(trackingMigrations);
    context = {
      database,
      blobs: null as unknown as BlobStore, // no files in this test
      clock: () => 1_800_000_000_000,
      audit: { record: async () => undefined },
      maxArtifactBytes: 0,
    };
  });
  afterAll(() => database?.close());

  const newRun = async () =>
    (await createRun(context, { experimentId: "0", userId: "", name: "", tags: [] })).run_id;
  const metric = (key: string, value: number, timestamp: number, step = 0) => ({
    key,
    value,
    timestamp,
    step,
  });

  it("reads a run back with all that was logged to it", async () => {
    const runId = await newRun();
    const values = [Math.PI, -0.1 + 0.3, 1e-308, 5e-324, Number.MAX_VALUE, Number.NaN];
    await logBatch(context, runId, {
      metrics: values.map((value, index) => metric(`m${index}`, value, 9_007_199_254_740_991, index)),
      params: [{ key: "p", value: "it's ü" }],
      tags: [{ key: "t", value: "" }],
    });
    await logInputs(
      context,
      runId,
      [
        {
          tags: [{ key: "k", value: "v" }],
          dataset: { name: "d", digest: "1", source_type: "s", source: "x", schema: "{}" },
        },
      ],
      ["m-in"],
    );
    await logOutputs(context, runId, [{ modelId: "m-out", step: 2 }]);
    const run = await getRun(context, runId);
    expect(run.metrics.map(({ value, is_nan }) => (is_nan === 1 ? Number.NaN : value))).toEqual(values);
    expect(run.metrics[0]).toMatchObject({ timestamp: 9_007_199_254_740_991, step: 0 });
    expect(run.params).toMatchObject([{ key: "p", value: "it's ü" }]);
    expect(run.tags).toMatchObject([{ key: "mlflow.runName" }, { key: "t", value: "" }]);
    expect(run.datasets).toMatchObject([
      { name: "d", schema: "{}", profile: null, tags: '[{"key":"k","value":"v"}]' },
    ]);
    expect(run.models).toMatchObject([
      { direction: "input", model_id: "m-in" },
      { direction: "output", model_id: "m-out", step: 2 },
    ]);
  });

  it("keeps the latest by step, time and value through single values and batches", async () => {
    const runId = await newRun();
    await logMetric(context, runId, metric("m", 1, 10, 5));
    await logMetric(context, runId, metric("m", 9, 99, 4));
    await logBatch(context, runId, {
      metrics: [metric("m", 2, 10, 5), metric("m", 7, 1, 5)],
      params: [],
      tags: [],
    });
    expect((await getRun(context, runId)).metrics).toMatchObject([{ value: 2, timestamp: 10, step: 5 }]);
    await logMetric(context, runId, metric("m", Number.NaN, 0, 6));
    expect((await getRun(context, runId)).metrics).toMatchObject([{ is_nan: 1, step: 6 }]);
  });

  it("drops exact duplicates and pages the rest without loss", async () => {
    const runId = await newRun();
    const points = Array.from({ length: 30 }, (_, index) => metric("m", index % 3, index % 5, index % 2));
    for (let twice = 0; twice < 2; twice++) {
      await logBatch(context, runId, { metrics: points, params: [], tags: [] });
      await logMetric(context, runId, metric("m", 0, 0, 0));
    }
    const whole = (await getHistory(context, { run_id: runId, metric_key: "m" })).metrics;
    expect(whole).toHaveLength(30);
    const paged = [];
    let token: string | undefined;
    do {
      const page = await getHistory(context, {
        run_id: runId,
        metric_key: "m",
        max_results: 7,
        page_token: token,
      });
      paged.push(...page.metrics);
      token = page.nextPageToken;
    } while (token !== undefined);
    expect(paged).toEqual(whole);
  });

  it("samples a history evenly and joins several", async () => {
    const runIds = [await newRun(), await newRun()];
    for (const runId of runIds) {
      const metrics = Array.from({ length: 10 }, (_, step) => metric("m", step, 0, step));
      await logBatch(context, runId, { metrics, params: [], tags: [] });
    }
    const request = { run_ids: runIds, metric_key: "m", max_results: 4 };
    expect((await getHistoryInterval(context, request)).map(({ step }) => step)).toEqual([
      0, 3, 6, 9, 0, 3, 6, 9,
    ]);
    expect(await getHistoryBulk(context, { run_id: runIds, metric_key: "m", max_results: 15 })).toHaveLength(
      15,
    );
  });

  it("loses nothing when many write to one run at once", async () => {
    const runId = await newRun();
    await Promise.all(
      Array.from({ length: 16 }, async (_, writer) => {
        for (let step = 0; step < 5; step++) {
          await logMetric(context, runId, metric("shared", writer, 1, step));
          await logBatch(context, runId, {
            metrics: [metric("b", writer, 2, step), metric("a", writer, 2, step)],
            params: [{ key: `p${writer}-${step}`, value: "1" }],
            tags: [{ key: "t", value: String(writer) }],
          });
        }
      }),
    );
    const run = await getRun(context, runId);
    expect(run.params).toHaveLength(80);
    expect(run.metrics.map(({ key, value, step }) => [key, value, step])).toEqual([
      ["a", 15, 4],
      ["b", 15, 4],
      ["shared", 15, 4],
    ]);
    const history = await getHistory(context, { run_id: runId, metric_key: "shared" });
    expect(history.metrics).toHaveLength(80);
  });

  it("lets one of two win who log a param with different values", async () => {
    const runId = await newRun();
    const outcomes = await Promise.allSettled(
      ["1", "2", "3", "4"].map((value) =>
        logBatch(context, runId, { metrics: [], params: [{ key: "p", value }], tags: [] }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await getRun(context, runId)).params).toHaveLength(1);
  });

  it("deletes an experiment with its runs and refuses to log to them", async () => {
    const experimentId = await createExperiment(
      context,
      { name: "gone", tags: [{ key: "k", value: "v" }] },
      actor,
    );
    const { run_id: runId } = await createRun(context, { experimentId, userId: "", name: "", tags: [] });
    await deleteExperiment(context, experimentId, actor);
    expect(await getExperiment(context, experimentId)).toMatchObject({
      lifecycle_stage: "deleted",
      tags: [{ key: "k" }],
    });
    await expect(logMetric(context, runId, metric("m", 1, 1))).rejects.toThrow(/'active' state/);
    await expect(logMetric(context, "0".repeat(32), metric("m", 1, 1))).rejects.toThrow(/not found/);
    await changeRunStage(context, runId, "active", actor);
    await setTag(context, runId, { key: "t", value: "1" });
  });

  it("keeps logged models, their metrics by data set, and the versions they became", async () => {
    const runId = await newRun();
    const ids = [];
    for (const name of ["one", "two"]) {
      const request = {
        experiment_id: "0",
        name,
        model_type: "",
        source_run_id: runId,
        params: [],
        tags: [],
      };
      ids.push((await createLoggedModel(context, request)).model_id);
    }
    for (const [index, modelId] of ids.entries()) {
      const value = { ...metric("auc", index, 1), model_id: modelId, dataset_name: "d", dataset_digest: "1" };
      for (let twice = 0; twice < 2; twice++) await logMetric(context, runId, value);
      await noteModelVersion(context, modelId, "m", 1);
    }
    const found = await searchLoggedModels(
      context,
      SearchLoggedModels.parse({
        experiment_ids: ["0"],
        filter: "metrics.auc >= 0 and name != 'x'",
        datasets: [{ dataset_name: "d" }],
        order_by: [{ field_name: "metrics.auc", ascending: false, dataset_name: "d", dataset_digest: "1" }],
      }),
    );
    expect(found.models.map(({ name, metrics }) => [name, metrics.length])).toEqual([
      ["two", 1],
      ["one", 1],
    ]);
    expect((await getLoggedModel(context, ids[0]!)).tags).toMatchObject([
      { value: '[{"name":"m","version":1}]' },
    ]);
  });

  it("searches more experiments than one", async () => {
    const request = SearchRuns.parse({
      experiment_ids: ["0", "5"],
      filter: "metrics.shared > 1",
      run_view_type: "ALL",
    });
    expect((await searchRuns(context, request)).runs).toHaveLength(1);
  });
});

import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bytesSource, readModel } from "../../../shared/onnx/index.ts";
import { call } from "../../support/application.ts";
import { flightsBytes } from "../../support/flights.ts";
import { lateFlights } from "../../support/late-flights.ts";
import { type TrainedJob, type TrainingGround, trainingGround } from "../../support/training.ts";

let ground: TrainingGround;

beforeAll(async () => {
  ground = await trainingGround();
  await ground.addDataset("flights", "parquet", await flightsBytes({ share: 0.02, format: "parquet" }));
});
afterAll(() => ground.close());

const artifact = async (name: string, version: number, path: string) => {
  const content = await ground.blobs.get(`${await ground.registry.artifactPrefix(name, version)}/${path}`);
  return new Response(content?.stream);
};

describe("training a model of late flights", () => {
  let first: TrainedJob;

  beforeAll(async () => {
    first = await ground.train({ ...lateFlights, registeredModel: "late-flights", tags: { team: "ops" } });
  });

  it("succeeds with a model that ranks flights better than chance, and says on how many rows", () => {
    expect(first).toMatchObject({ state: "succeeded", error: null });
    expect(first.result.rows).toEqual({ train: 19_327, holdout: 10_233, withoutTarget: 0 });
    expect(first.result.metrics.auc).toBeGreaterThan(0.6);
    expect(first.result.metrics.logLoss).toBeLessThan(0.51);
  });

  it("logs a run with parameters, metrics, tags, its data set and the model's folder", async () => {
    const { runId } = first.result;
    const answer = await call(ground.app, "GET", `/api/2.0/mlflow/runs/get?run_id=${runId}`);
    const { run } = answer.body as {
      run: {
        info: { status: string };
        data: { params: Pair[]; metrics: { key: string; value: number }[]; tags: Pair[] };
        inputs: { dataset_inputs: { dataset: Record<string, string> }[] };
      };
    };
    type Pair = { key: string; value: string };
    const find = <Value>(pairs: { key: string; value: Value }[], key: string) =>
      pairs.find((pair) => pair.key === key)?.value;
    expect(run.info.status).toBe("FINISHED");
    expect(find(run.data.params, "algorithm")).toBe("logistic");
    expect(find(run.data.metrics, "holdout_auc")).toBe(first.result.metrics.auc);
    expect(find(run.data.tags, "team")).toBe("ops");
    expect(find(run.data.tags, "ketline.dataset")).toBe("flights");
    expect(run.inputs.dataset_inputs[0]?.dataset).toMatchObject({ name: "flights", source_type: "ketline" });
    const listed = await call(ground.app, "GET", `/api/2.0/mlflow/artifacts/list?run_id=${runId}&path=model`);
    const files = (listed.body as { files: { path: string }[] }).files.map(({ path }) => path);
    expect(files).toEqual(
      [
        "MLmodel",
        "conda.yaml",
        "evaluation.svg",
        "input_example.json",
        "metrics.json",
        "model.onnx",
        "python_env.yaml",
        "reference-profile.json",
        "requirements.txt",
        "serving_input_example.json",
        "slices.json",
      ].map((name) => `model/${name}`),
    );
  });

  it("registers version 1, which becomes champion as there was none", async () => {
    expect(first.result.model).toEqual({ name: "late-flights", version: 1 });
    expect(first.result.decision).toMatchObject({ promoted: true, champion: null, comparison: null });
    const champion = await ground.registry.getByAlias("late-flights", "champion");
    expect(champion).toMatchObject({
      version: 1,
      runId: first.result.runId,
      tags: { "ketline.promoted": "true" },
    });
  });

  it("writes a graph that takes the features by name, missing and unknown values too", async () => {
    const bytes = new Uint8Array(await (await artifact("late-flights", 1, "model.onnx")).arrayBuffer());
    const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1 });
    const column = (values: number[]) =>
      new ort.Tensor("float32", Float32Array.from(values), [values.length, 1]);
    const text = (values: string[]) => new ort.Tensor("string", values, [values.length, 1]);
    const { label, probabilities } = await session.run({
      distance: column([500, Number.NaN, Number.POSITIVE_INFINITY, 500]),
      origin: text(["ORD", "", "nowhere", "ORD"]),
      destination: text(["SFO", "SFO", "", "SFO"]),
      hour: column([18, 18, Number.NaN, 5]),
      dayOfWeek: column([5, 5, 99, 5]),
    });
    expect(label?.dims).toEqual([4]);
    expect(probabilities?.dims).toEqual([4, 2]);
    const values = Array.from(probabilities?.data as Float32Array);
    expect(values.every((value) => value > 0 && value < 1)).toBe(true);
    for (const row of [0, 1, 2, 3]) expect(values[2 * row]! + values[2 * row + 1]!).toBeCloseTo(1, 6);
    // Evening flights are later than those of the early morning.
    expect(values[1]!).toBeGreaterThan(values[7]!);
  });

  it("keeps the profile of the training rows under the names that captured predictions have", async () => {
    const profile = (await (await artifact("late-flights", 1, "reference-profile.json")).json()) as {
      columns: { name: string; kind: string; count: number }[];
    };
    expect(profile.columns.map(({ name, kind, count }) => [name, kind, count])).toEqual([
      ["distance", "numeric", 19_327],
      ["origin", "categorical", 19_327],
      ["destination", "categorical", 19_327],
      ["hour", "numeric", 19_327],
      ["dayOfWeek", "numeric", 19_327],
      ["output:probabilities[1]", "numeric", 19_327],
      ["output:label", "numeric", 19_327],
    ]);
  });

  it("evaluates by slice, and the slices add up", async () => {
    const slices = (await (await artifact("late-flights", 1, "slices.json")).json()) as {
      value: string;
      metrics: { rows: number };
    }[];
    expect(slices.map(({ value }) => value).toSorted()).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
    expect(slices.reduce((sum, { metrics }) => sum + metrics.rows, 0)).toBe(10_233);
  });

  it("refuses to promote an equal model, with both losses and the interval in the reason", async () => {
    const again = await ground.train({ ...lateFlights, registeredModel: "late-flights" });
    expect(again.result.model?.version).toBe(2);
    expect(again.result.decision).toMatchObject({
      promoted: false,
      champion: 1,
      comparison: { delta: 0, rows: 10_233, metric: "logLoss" },
    });
    expect(again.result.decision?.reason).toMatch(/not surely better.*of version 1 on 10233 rows.*31 days/);
    expect((await ground.registry.getByAlias("late-flights", "champion"))?.version).toBe(1);
    expect((await ground.registry.getVersion("late-flights", 2)).tags["ketline.promoted"]).toBe("false");
  });

  it("says how many rows of the holdout the champion was trained on, also on a version with more rows", async () => {
    const rows = Array.from({ length: 600 }, (_, row) => ({
      id: row,
      x: (row * 37) % 101,
      y: (row * 37) % 101 > 50 !== (row % 7 === 0),
    }));
    const lines = (list: readonly object[]) => list.map((row) => JSON.stringify(row)).join("\n");
    const version = await ground.addDataset("growing", "jsonl", lines(rows));
    const spec = {
      dataset: "growing",
      task: "binary",
      target: { column: "y" },
      features: [{ column: "x" }],
      split: { holdoutFraction: 0.3, seed: 1 },
      algorithm: { kind: "boosting", trees: 10 },
      registeredModel: "growing",
    };
    expect((await ground.train({ ...spec, version })).result.decision).toMatchObject({ promoted: true });
    const more = rows.map((row) => ({ ...row, id: row.id + 1000 }));
    await ground.addDataset("growing", "jsonl", lines([...more, ...rows].toReversed()));
    const same = await ground.train(spec);
    expect(same.result.decision?.comparison).toMatchObject({ seenByChampion: 0 });
    expect(same.result.decision?.reason).toMatch(/Version 1 was trained on none of them/);
    const other = await ground.train({ ...spec, split: { holdoutFraction: 0.3, seed: 2 } });
    const { seenByChampion = 0, rows: judged = 0 } = other.result.decision?.comparison ?? {};
    // Half of the rows are new to the champion, and of the others it has seen seven tenths.
    expect(Math.abs(seenByChampion / judged - 0.35)).toBeLessThan(0.08);
    expect(other.result.decision?.reason).toContain(`trained on ${seenByChampion} of these ${judged} rows`);
  });

  it("writes the code version that runs carry into the graph and its MLmodel", async () => {
    const { codeVersion } = ground.config;
    expect(codeVersion).toBe("commit-1234");
    const bytes = new Uint8Array(await (await artifact("late-flights", 1, "model.onnx")).arrayBuffer());
    const model = readModel(bytesSource(bytes));
    expect(model.metadata.get("ketline.code_version")).toBe(codeVersion);
    expect(await (await artifact("late-flights", 1, "MLmodel")).text()).toContain(
      `ketline.code_version: ${JSON.stringify(codeVersion)}`,
    );
    expect((await ground.registry.getVersion("late-flights", 1)).tags["ketline.code_version"]).toBe(
      codeVersion,
    );
  });

  it("makes no champion of a model that the share of 1s beats, and says why", async () => {
    const rows = Array.from({ length: 300 }, (_, row) =>
      JSON.stringify({ id: row, x: (row * 7919) % 31, y: (row * row * 17) % 13 > 6 }),
    );
    await ground.addDataset("noise", "jsonl", rows.join("\n"));
    const spec = {
      dataset: "noise",
      task: "binary",
      target: { column: "y" },
      features: [{ column: "x" }],
      split: { holdoutFraction: 0.4 },
      algorithm: { kind: "boosting", learningRate: 1, minLeafRows: 1 },
      registeredModel: "noise",
    };
    const { result } = await ground.train(spec);
    expect(result.decision).toMatchObject({ promoted: false, champion: null });
    expect(result.decision?.reason).toMatch(
      /Log loss .* against .* of the share of 1s .*: the model does not beat that/,
    );
    expect(await ground.registry.getByAlias("noise", "champion")).toBeNull();
  });

  it("promotes a model that is better on the same holdout, and leaves a worse one", async () => {
    const poor = { ...lateFlights, features: [{ column: "distance" }], registeredModel: "contest" };
    await ground.train(poor);
    const better = await ground.train({ ...lateFlights, registeredModel: "contest" });
    expect(better.result.decision).toMatchObject({ promoted: true, champion: 1 });
    expect(better.result.decision?.comparison?.low).toBeGreaterThan(0);
    const worse = await ground.train(poor);
    expect(worse.result.decision).toMatchObject({ promoted: false, champion: 2 });
    expect(worse.result.decision?.reason).toMatch(/is worse/);
    const forced = await ground.train({ ...poor, promotion: { policy: "always" } });
    expect(forced.result.decision).toMatchObject({ promoted: true, champion: 2 });
    expect((await ground.registry.getByAlias("contest", "champion"))?.version).toBe(4);
  });

  it("lists trainings, newest first, with their jobs", async () => {
    const answer = await call(ground.app, "GET", "/api/v1/training?model=late-flights");
    const { items } = answer.body as {
      items: { id: string; modelVersion: number; job: { state: string } }[];
    };
    expect(items.map(({ modelVersion }) => modelVersion)).toHaveLength(2);
    expect(items.every(({ job }) => job.state === "succeeded")).toBe(true);
    const one = await call(ground.app, "GET", `/api/v1/training/${first.id}`);
    expect(one.body).toMatchObject({ id: first.id, runId: first.result.runId, modelVersion: 1 });
  });
});

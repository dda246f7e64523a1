import { afterEach, describe, expect, it } from "vitest";
import { createDatasets, datasetMigrations } from "../../../../models/datasets/index.ts";
import { createRegistry, registryMigrations } from "../../../../models/registry/index.ts";
import {
  batchMigrations,
  createBatchPredictions,
  createServing,
  type Serving,
  servingMigrations,
} from "../../../../models/serving/index.ts";
import { createTracking, trackingMigrations } from "../../../../models/tracking/index.ts";
import { createTraining, trainingMigrations } from "../../../../models/training/index.ts";
import { withDuckDb } from "../../../../shared/duckdb/index.ts";
import { call, type TestApplication, testGround } from "../../../support/application.ts";

let ground: TestApplication;
let serving: Serving;
let rowsOf: (dataset: string) => Promise<Record<string, unknown>[]>;
afterEach(async () => {
  await serving.close?.();
  await ground.close();
});

async function open(limits: object = {}) {
  ground = await testGround({
    migrations: [
      ...datasetMigrations,
      ...trackingMigrations,
      ...registryMigrations,
      ...trainingMigrations,
      ...servingMigrations,
      ...batchMigrations,
    ],
    capabilities(base) {
      const datasets = createDatasets(base);
      const tracking = createTracking(base);
      const registry = createRegistry({ ...base, tracking });
      const serves = { models: registry, dataDirectory: base.directory, limits: { hosts: 1, ...limits } };
      serving = createServing({ ...base, ...serves });
      rowsOf = async (dataset) =>
        datasets.withRows(await datasets.getVersion(dataset, "latest"), (file) =>
          withDuckDb({ files: [file], scratchDirectory: base.directory }, (duckDb) =>
            duckDb.rows("select * from read_parquet($1)", [file]),
          ),
        );
      return [
        datasets,
        tracking,
        registry,
        serving,
        createTraining({ ...base, datasets, tracking, registry }),
        createBatchPredictions({ ...base, ...serves, datasets, serving }),
      ];
    },
  });
}

async function addDataset(name: string, rows: readonly object[]): Promise<void> {
  const content = rows.map((row) => JSON.stringify(row)).join("\n");
  const answer = await call(ground.app, "POST", `/api/v1/datasets/${name}/versions?format=jsonl`, content);
  expect(answer.status, JSON.stringify(answer.body)).toBe(202);
  await ground.runner.drain();
}

/** The answer of a stop is its own number, whatever x is: the mean of all is far from each. */
const offsets: Readonly<Record<string, number>> = { north: 100, "Süd 🚋": 200, "": 300, constructor: 400 };
const stops = Object.entries(offsets).flatMap(([stop, value]) =>
  [1, 2].flatMap((line) =>
    Array.from({ length: 100 }, (_, index) => ({
      stop,
      line,
      n: index,
      x: index % 10,
      y: value + 10 * line,
    })),
  ),
);

async function train(change: object): Promise<void> {
  await addDataset("stops", stops);
  const answer = await call(ground.app, "POST", "/api/v1/training", {
    dataset: "stops",
    task: "regression",
    target: { column: "y" },
    features: [{ column: "x" }],
    split: { holdoutFraction: 0.25 },
    algorithm: { kind: "linear" },
    partitionBy: ["stop", "line"],
    minRows: 50,
    minimumRows: { train: 10, holdout: 2 },
    registeredModel: "delay",
    promotion: { policy: "always" },
    ...change,
  });
  expect(answer.status, JSON.stringify(answer.body)).toBe(202);
  await ground.runner.drain();
  const { id } = answer.body as { id: string };
  const job = (await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body;
  expect(job).toMatchObject({ state: "succeeded", error: null, result: { keys: { failed: 0 } } });
}

const infer = (rows: readonly { stop: string; line: number; x: number }[]) => {
  const shape = [rows.length, 1];
  return call(ground.app, "POST", "/v2/models/delay/infer", {
    inputs: [
      { name: "x", datatype: "FP32", shape, data: rows.map(({ x }) => x) },
      { name: "stop", datatype: "BYTES", shape, data: rows.map(({ stop }) => stop) },
      { name: "line", datatype: "INT64", shape, data: rows.map(({ line }) => line) },
    ],
  });
};
const predictionsOf = ({ body }: { body: unknown }) =>
  (body as { outputs: { data: number[] }[] }).outputs[0]?.data.map(Math.round);

describe("a version with a model for each key", () => {
  it("answers each row by the model of its key, in the order of the rows, and others by the global one", async () => {
    await open();
    await train({});
    const rows = [
      { stop: "constructor", line: 2, x: 3 },
      { stop: "north", line: 1, x: 3 },
      { stop: "Süd 🚋", line: 2, x: 3 },
      { stop: "", line: 1, x: 3 },
      { stop: "north", line: 2, x: 9 },
      { stop: "__proto__", line: 1, x: 3 },
      { stop: "north", line: 1, x: 4 },
    ];
    const answer = await infer(rows);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    const found = predictionsOf(answer);
    const own = found?.filter((_, row) => row !== 5);
    expect(own).toEqual([420, 110, 220, 310, 120, 110]);
    // Of all rows, whose mean is (100 + 200 + 300 + 400) / 4 + 15.
    expect(Math.abs((found?.[5] ?? 0) - 265)).toBeLessThan(40);
    expect(predictionsOf(await infer(rows.slice(1, 2)))).toEqual([110]);
    expect(predictionsOf(await infer([]))).toEqual([]);
  });

  it("falls back to the model of the first columns of the key where that was asked for", async () => {
    await open();
    await train({ fallback: "parent" });
    const answer = await infer([
      { stop: "north", line: 7, x: 3 },
      { stop: "constructor", line: 7, x: 3 },
    ]);
    // Its lines 1 and 2 lie 5 below and above.
    for (const [row, mean] of [115, 415].entries())
      expect(Math.abs((predictionsOf(answer)?.[row] ?? 0) - mean)).toBeLessThan(8);
  });

  it("takes MLflow's forms too, and tells what a request lacks", async () => {
    await open();
    await train({});
    await call(ground.app, "PUT", "/api/v1/deployments/delays", {
      variants: [{ name: "all", model: "delay", alias: "champion", weight: 100 }],
    });
    const scored = await call(ground.app, "POST", "/serving/delay/invocations", {
      dataframe_records: [
        { x: 1, stop: "", line: 2 },
        { x: 1, stop: "north", line: 1 },
      ],
    });
    expect(scored.status, JSON.stringify(scored.body)).toBe(200);
    const flat = JSON.stringify(scored.body)
      .match(/\d{2,}(\.\d+)?/g)
      ?.map(Number)
      .map(Math.round);
    expect(flat).toEqual([320, 110]);
    const lacking = await call(ground.app, "POST", "/v2/models/delay/infer", {
      inputs: [{ name: "x", datatype: "FP32", shape: [1, 1], data: [1] }],
    });
    expect(lacking).toMatchObject({ status: 400 });
    expect((lacking.body as { error: string }).error).toContain('"stop", "line"');
    const described = await call(ground.app, "GET", "/v2/models/delay");
    expect((described.body as { inputs: { name: string; datatype: string }[] }).inputs).toEqual([
      { name: "stop", datatype: "BYTES", shape: [-1, 1] },
      { name: "line", datatype: "INT64", shape: [-1, 1] },
      { name: "x", datatype: "FP32", shape: [-1, 1] },
    ]);
  });

  it("keeps no more models loaded than fit, and answers the others all the same", async () => {
    await open({ maxCount: 3 });
    await train({});
    for (const [stop, value] of [...Object.entries(offsets), ...Object.entries(offsets)])
      for (const line of [1, 2])
        expect(predictionsOf(await infer([{ stop, line, x: 5 }]))).toEqual([value + 10 * line]);
  });

  it("predicts data sets by key", async () => {
    await open();
    await train({});
    await addDataset("asked", [
      { stop: "constructor", line: 1, x: 1 },
      { stop: "north", line: 2, x: 2 },
      { stop: "constructor", line: 1, x: 3 },
      { stop: "Süd 🚋", line: 1, x: 3 },
    ]);
    const answer = await call(ground.app, "POST", "/api/v1/batch-predictions", {
      input: { dataset: "asked" },
      target: { model: "delay", alias: "champion" },
      output: { dataset: "answered", keep: ["stop"] },
    });
    expect(answer.status, JSON.stringify(answer.body)).toBe(202);
    await ground.runner.drain();
    const { id } = answer.body as { id: string };
    expect((await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body).toMatchObject({ error: null });
    const rows = await rowsOf("answered");
    expect(rows.map((row) => [row.stop, Math.round(Number(row.prediction))])).toEqual([
      ["constructor", 410],
      ["north", 120],
      ["constructor", 410],
      ["Süd 🚋", 210],
    ]);
  });

  it("is not served with other bytes than were registered", async () => {
    await open();
    await train({});
    const { blobs } = ground;
    const page = await blobs.list("", { limit: 5000 });
    const bundle = page.blobs.find(({ key }) => /keys\/bundle-.*\.bin$/.test(key));
    if (bundle === undefined) throw new Error("There is no bundle.");
    const content = await blobs.get(bundle.key);
    const bytes = new Uint8Array(await new Response(content?.stream).arrayBuffer());
    await blobs.put(bundle.key, bytes.fill(7));
    const answer = await infer([{ stop: "north", line: 1, x: 3 }]);
    expect(answer.status).toBe(409);
    expect(JSON.stringify(answer.body)).toContain("has other bytes than were registered");
    // The version's own model is as it was.
    expect((await infer([{ stop: "unknown", line: 1, x: 3 }])).status).toBe(200);
  });
});

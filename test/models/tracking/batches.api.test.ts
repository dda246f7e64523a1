import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MlflowGround, mlflowGround, runCalls } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

let ground: MlflowGround;
beforeAll(async () => {
  ground = await mlflowGround();
});
afterAll(() => ground?.close());

const { get, newRunId } = runCalls(() => ground);

describe("a batch", () => {
  const batch = (run_id: string, fields: object) =>
    ground.send("POST", "/runs/log-batch", { run_id, ...fields });
  const many = (count: number, entry: (index: number) => object) =>
    Array.from({ length: count }, (_, index) => entry(index));
  const metric = (index: number) => ({ key: `m${index}`, value: index, timestamp: 1, step: 0 });
  const pair = (index: number) => ({ key: `k${index}`, value: "v" });

  it("is written whole, the last of equal tags counting", async () => {
    const run_id = await newRunId();
    const fields = {
      metrics: many(1000, (index) => ({ ...metric(index % 10), step: index })),
      tags: [
        { key: "t", value: "1" },
        { key: "t", value: "2" },
      ],
    };
    expect((await batch(run_id, { ...fields, metrics: fields.metrics.slice(0, 998) })).status).toBe(200);
    const { metrics, tags } = (await get(run_id)).data;
    expect(metrics).toHaveLength(10);
    expect(metrics?.find(({ key }) => key === "m7")?.step).toBe(997);
    expect(tags).toContainEqual({ key: "t", value: "2" });
  });

  it("is refused whole", async () => {
    const run_id = await newRunId();
    await batch(run_id, { params: [{ key: "p", value: "1" }] });
    const answer = await batch(run_id, {
      metrics: [metric(0)],
      params: [
        { key: "q", value: "1" },
        { key: "p", value: "2" },
      ],
    });
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /Changing param values/);
    const { metrics, params } = (await get(run_id)).data;
    expect([metrics, params]).toEqual([undefined, [{ key: "p", value: "1" }]]);
  });

  it.each([
    [{ metrics: many(1001, metric) }, /at most 1000 metrics. Got 1001 metrics/],
    [{ params: many(101, pair) }, /at most 100 params. Got 101 params/],
    [{ tags: many(101, pair) }, /at most 100 tags. Got 101 tags/],
    [{ metrics: many(950, metric), params: many(51, pair) }, /at most 1000 metrics, params, and tags/],
    [{ params: [pair(0), pair(0)] }, /Duplicate parameter keys have been submitted: \["k0"\]/],
    [{ metrics: [{ value: 1, timestamp: 1 }] }, /Missing value for required parameter 'metrics\[0\].key'/],
    [{ metrics: [metric(0), { key: "a", timestamp: 1 }] }, /required parameter 'metrics\[1\].value'/],
    [{ metrics: [{ key: "a", value: 1 }] }, /required parameter 'metrics\[0\].timestamp'/],
    [{ params: [{ value: "x" }] }, /required parameter 'params\[0\].key'/],
    [{ tags: [{ value: "x" }] }, /required parameter 'tags\[0\].key'/],
    [{ metrics: "m" }, /Invalid value "m" for parameter 'metrics'/],
  ])("is refused past MLflow's limits and rules (%#)", async (fields, message) => {
    expectMlflowError(await batch(await newRunId(), fields), 400, "INVALID_PARAMETER_VALUE", message);
  });

  it("is refused above a million bytes with 400, which clients do not try again", async () => {
    const run_id = await newRunId();
    const answer = await batch(run_id, {
      tags: many(90, (index) => ({ key: `k${index}`, value: "x".repeat(12_000) })),
    });
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /at most 1000000 bytes/);
  });

  it("may be empty", async () => {
    expect((await batch(await newRunId(), {})).status).toBe(200);
  });
});

describe("inputs and outputs", () => {
  const dataset = { name: "flights", digest: "abc", source_type: "local", source: "{}" };
  const logInputs = (run_id: string, fields: object) =>
    ground.send("POST", "/runs/log-inputs", { run_id, ...fields });

  it("name data sets with their tags, each once by name and digest", async () => {
    const run_id = await newRunId();
    const tags = [{ key: "mlflow.data.context", value: "training" }];
    await logInputs(run_id, {
      datasets: [{ tags, dataset: { ...dataset, schema: "{}" } }, { dataset: { ...dataset, digest: "def" } }],
    });
    await logInputs(run_id, {
      datasets: [{ tags: [{ key: "mlflow.data.context", value: "other" }], dataset }],
    });
    expect((await get(run_id)).inputs).toEqual({
      dataset_inputs: [
        { tags, dataset: { ...dataset, schema: "{}" } },
        { dataset: { ...dataset, digest: "def" } },
      ],
    });
    const answer = await ground.ask("POST", "/experiments/search-datasets", { experiment_ids: ["0"] });
    expect(answer).toEqual({
      dataset_summaries: [
        { experiment_id: "0", name: "flights", digest: "abc", context: "training" },
        { experiment_id: "0", name: "flights", digest: "def" },
      ],
    });
  });

  it("name the models that went in and came out", async () => {
    const run_id = await newRunId();
    await logInputs(run_id, { models: [{ model_id: "m-1" }] });
    for (let twice = 0; twice < 2; twice++) {
      await ground.ask("POST", "/runs/outputs", {
        run_id,
        models: [{ model_id: "m-2", step: 3 }, { model_id: "m-3" }],
      });
    }
    const run = await get(run_id);
    expect(run.inputs).toEqual({ model_inputs: [{ model_id: "m-1" }] });
    expect(run.outputs).toEqual({
      model_outputs: [
        { model_id: "m-3", step: 0 },
        { model_id: "m-2", step: 3 },
      ],
    });
  });

  it.each([
    [{ datasets: [{ dataset: { ...dataset, name: "n".repeat(501) } }] }, /maximum length of 500/],
    [{ datasets: [{ dataset: { ...dataset, digest: "d".repeat(37) } }] }, /maximum length of 36/],
    [{ datasets: [{ dataset: { ...dataset, source: "s".repeat(65_536) } }] }, /maximum length of 65535/],
    [{ datasets: [{ dataset: { ...dataset, schema: "s".repeat(1_048_576) } }] }, /maximum length of 1048575/],
    [{ datasets: [{ dataset, tags: [{ key: "k".repeat(256), value: "v" }] }] }, /maximum length of 255/],
    [
      { datasets: [{ dataset: { name: "x" } }] },
      /Missing value for required parameter 'datasets\[0\].dataset.digest'/,
    ],
  ])("are refused past the limits (%#)", async (fields, message) => {
    expectMlflowError(await logInputs(await newRunId(), fields), 400, "INVALID_PARAMETER_VALUE", message);
  });

  it("keep MLflow 2's note of a logged model as a tag", async () => {
    const run_id = await newRunId();
    const model = { artifact_path: "model", flavors: {}, utc_time_created: "now", run_id };
    await ground.ask("POST", "/runs/log-model", { run_id, model_json: JSON.stringify(model) });
    await ground.ask("POST", "/runs/log-model", { run_id, model_json: JSON.stringify(model) });
    const tag = (await get(run_id)).data.tags?.find(({ key }) => key === "mlflow.log-model.history");
    expect(JSON.parse(tag?.value ?? "")).toEqual([model, model]);
    for (const model_json of ["{", "[]", '{"artifact_path":"x"}']) {
      const answer = await ground.send("POST", "/runs/log-model", { run_id, model_json });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE");
    }
  });
});

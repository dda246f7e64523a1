import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

interface Pair {
  key: string;
  value: string;
}
interface Run {
  info: { run_id: string; run_name: string; lifecycle_stage: string; status: string } & Record<
    string,
    unknown
  >;
  data: { metrics?: { key: string; value: unknown; step: number }[]; params?: Pair[]; tags?: Pair[] };
  inputs: { dataset_inputs?: unknown[]; model_inputs?: unknown[] };
  outputs?: { model_outputs: unknown[] };
}

let ground: MlflowGround;
beforeAll(async () => {
  ground = await mlflowGround();
});
afterAll(() => ground?.close());

const create = async (fields: object = {}) =>
  (await ground.ask<{ run: Run }>("POST", "/runs/create", { experiment_id: "0", ...fields })).run;
const get = async (run_id: string) => (await ground.ask<{ run: Run }>("GET", "/runs/get", { run_id })).run;
const newRunId = async () => (await create()).info.run_id;

describe("a run", () => {
  it("is told back as MLflow writes it: unset fields and empty lists absent, inputs always there", async () => {
    const run = await create({ start_time: 1700000000000, user_id: "ada", run_name: "first" });
    const { run_id } = run.info;
    expect(run).toEqual({
      info: {
        run_uuid: run_id,
        run_id,
        experiment_id: "0",
        run_name: "first",
        user_id: "ada",
        status: "RUNNING",
        start_time: 1700000000000,
        artifact_uri: `mlflow-artifacts:/0/${run_id}/artifacts`,
        lifecycle_stage: "active",
      },
      data: { tags: [{ key: "mlflow.runName", value: "first" }] },
      inputs: {},
    });
    expect(run_id).toMatch(/^[0-9a-f]{32}$/);
    expect(await get(run_id)).toEqual(run);
  });

  it("gets a random name when nobody named it, and the name of its tag when that did", async () => {
    expect((await create()).info.run_name).toMatch(/^[a-z]+-[a-z]+-\d+$/);
    const named = await create({ tags: [{ key: "mlflow.runName", value: "by tag" }] });
    expect(named.info.run_name).toBe("by tag");
    expectMlflowError(
      await ground.send("POST", "/runs/create", {
        experiment_id: "0",
        run_name: "one",
        tags: [{ key: "mlflow.runName", value: "another" }],
      }),
      400,
      "INVALID_PARAMETER_VALUE",
      /different values/,
    );
  });

  it("is 404 in an experiment that is not there", async () => {
    expectMlflowError(
      await ground.send("POST", "/runs/create", { experiment_id: "12345" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
    );
  });

  it("ends, resumes and is renamed; its name and its tag change together", async () => {
    const run_id = await newRunId();
    const { run_info } = await ground.ask<{ run_info: object }>("POST", "/runs/update", {
      run_id,
      status: "FINISHED",
      end_time: 1700000001000,
      run_name: "renamed",
    });
    expect(run_info).toMatchObject({ status: "FINISHED", end_time: 1700000001000, run_name: "renamed" });
    expect((await get(run_id)).data.tags).toEqual([{ key: "mlflow.runName", value: "renamed" }]);
    await ground.ask("POST", "/runs/set-tag", { run_id, key: "mlflow.runName", value: "by tag" });
    expect((await get(run_id)).info.run_name).toBe("by tag");
    await ground.ask("POST", "/runs/update", { run_id, status: 1 });
    expect((await get(run_id)).info).toMatchObject({ status: "RUNNING", end_time: 1700000001000 });
  });

  it("refuses a status that MLflow does not know", async () => {
    expectMlflowError(
      await ground.send("POST", "/runs/update", { run_id: await newRunId(), status: "DONE" }),
      400,
      "INVALID_PARAMETER_VALUE",
      /RUNNING, SCHEDULED, FINISHED, FAILED, KILLED/,
    );
  });

  it("is found by run_uuid, as old clients name it", async () => {
    const run_uuid = await newRunId();
    const answer = await ground.ask<{ run: Run }>("GET", "/runs/get", { run_uuid });
    expect(answer.run.info.run_id).toBe(run_uuid);
    await ground.ask("POST", "/runs/log-metric", { run_uuid, key: "m", value: 1, timestamp: 1 });
    expect((await get(run_uuid)).data.metrics).toHaveLength(1);
  });

  it("can be deleted and restored as often as one likes, and takes nothing while deleted", async () => {
    const run_id = await newRunId();
    for (let twice = 0; twice < 2; twice++) await ground.ask("POST", "/runs/delete", { run_id });
    for (const [path, fields] of [
      ["/runs/log-metric", { key: "m", value: 1, timestamp: 1 }],
      ["/runs/log-parameter", { key: "p", value: "1" }],
      ["/runs/set-tag", { key: "t", value: "1" }],
      ["/runs/delete-tag", { key: "mlflow.runName" }],
      ["/runs/log-batch", {}],
      ["/runs/log-inputs", {}],
      ["/runs/outputs", { models: [] }],
      ["/runs/update", { status: "FAILED" }],
    ] as const) {
      const answer = await ground.send("POST", path, { run_id, ...fields });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /must be in the 'active' state/);
    }
    for (let twice = 0; twice < 2; twice++) await ground.ask("POST", "/runs/restore", { run_id });
    expect((await get(run_id)).info.lifecycle_stage).toBe("active");
  });

  it("is 404 everywhere when it is not there", async () => {
    for (const [method, path, fields] of [
      ["GET", "/runs/get", {}],
      ["POST", "/runs/update", {}],
      ["POST", "/runs/delete", {}],
      ["POST", "/runs/log-metric", { key: "m", value: 1, timestamp: 1 }],
      ["POST", "/runs/log-batch", {}],
      ["GET", "/metrics/get-history", { metric_key: "m" }],
      ["GET", "/artifacts/list", {}],
    ] as const) {
      const answer = await ground.send(method, path, { run_id: "0".repeat(32), ...fields });
      expectMlflowError(answer, 404, "RESOURCE_DOES_NOT_EXIST", /Run with id=0+ not found/);
    }
  });
});

describe("params and tags", () => {
  it("keep a param for good: the same value again is fine, another is refused", async () => {
    const run_id = await newRunId();
    const log = (value: string) =>
      ground.send("POST", "/runs/log-parameter", { run_id, key: "depth", value });
    expect((await log("3")).status).toBe(200);
    expect((await log("3")).status).toBe(200);
    expectMlflowError(
      await log("4"),
      400,
      "INVALID_PARAMETER_VALUE",
      /Changing param values is not allowed.*'depth'.*'3'.*'4'/,
    );
    expectMlflowError(
      await ground.send("POST", "/runs/log-batch", { run_id, params: [{ key: "depth", value: "5" }] }),
      400,
      "INVALID_PARAMETER_VALUE",
      /Changing param values is not allowed/,
    );
  });

  it("take empty values and cut long ones", async () => {
    const run_id = await newRunId();
    await ground.ask("POST", "/runs/log-parameter", { run_id, key: "empty" });
    await ground.ask("POST", "/runs/log-parameter", { run_id, key: "long", value: "x".repeat(6001) });
    await ground.ask("POST", "/runs/set-tag", { run_id, key: "long", value: "\u{1F6EB}".repeat(8001) });
    const { params, tags } = (await get(run_id)).data;
    expect(params).toEqual([
      { key: "empty", value: "" },
      { key: "long", value: "x".repeat(6000) },
    ]);
    expect(tags?.[0]?.value).toBe("\u{1F6EB}".repeat(8000));
  });

  it("delete a tag once", async () => {
    const run_id = await newRunId();
    await ground.ask("POST", "/runs/set-tag", { run_id, key: "t", value: "1" });
    await ground.ask("POST", "/runs/delete-tag", { run_id, key: "t" });
    expectMlflowError(
      await ground.send("POST", "/runs/delete-tag", { run_id, key: "t" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
      /No tag with name: t in run with id/,
    );
  });

  it.each(["../x", "a//b", "/x", "a/./b", ".", "x/", "a\\b", "a(b)", "a#b"])(
    "refuse the key %s",
    async (key) => {
      const run_id = await newRunId();
      for (const [path, fields] of [
        ["/runs/log-metric", { key, value: 1, timestamp: 1 }],
        ["/runs/log-parameter", { key, value: "1" }],
        ["/runs/set-tag", { key, value: "1" }],
        ["/runs/log-batch", { tags: [{ key, value: "1" }] }],
      ] as const) {
        expectMlflowError(
          await ground.send("POST", path, { run_id, ...fields }),
          400,
          "INVALID_PARAMETER_VALUE",
        );
      }
    },
  );

  it("take keys of letters, digits and _ - . space / :, up to 250 characters", async () => {
    const run_id = await newRunId();
    const keys = ["a/b", "a b", "a:b", "a-b_c.d", "日本", "k".repeat(250)];
    await ground.ask("POST", "/runs/log-batch", { run_id, params: keys.map((key) => ({ key, value: "1" })) });
    expect((await get(run_id)).data.params?.map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
    expectMlflowError(
      await ground.send("POST", "/runs/log-parameter", { run_id, key: "k".repeat(251), value: "1" }),
      400,
      "INVALID_PARAMETER_VALUE",
      /maximum length of 250/,
    );
  });
});

describe("metrics", () => {
  const log = (run_id: string, fields: object) =>
    ground.ask("POST", "/runs/log-metric", { run_id, key: "m", ...fields });
  const latest = async (run_id: string) => (await get(run_id)).data.metrics?.[0];
  const history = async (run_id: string, fields: object = {}) =>
    ground.ask<{ metrics?: object[]; next_page_token?: string }>("GET", "/metrics/get-history", {
      run_id,
      metric_key: "m",
      ...fields,
    });

  it("show the value of the highest step, then time, then value, not the one that came last", async () => {
    const run_id = await newRunId();
    await log(run_id, { value: 1, timestamp: 10, step: 5 });
    await log(run_id, { value: 2, timestamp: 99, step: 4 });
    expect(await latest(run_id)).toEqual({ key: "m", value: 1, timestamp: 10, step: 5 });
    await log(run_id, { value: 3, timestamp: 9, step: 5 });
    expect((await latest(run_id))?.value).toBe(1);
    await log(run_id, { value: 4, timestamp: 11, step: 5 });
    await log(run_id, { value: 3.5, timestamp: 11, step: 5 });
    expect((await latest(run_id))?.value).toBe(4);
    await log(run_id, { value: -1, timestamp: 0, step: 6 });
    expect((await latest(run_id))?.value).toBe(-1);
  });

  it("keep their history by time, step and value, without exact duplicates", async () => {
    const run_id = await newRunId();
    const points = [
      { value: 2, timestamp: 2, step: 0 },
      { value: 1, timestamp: 1, step: 7 },
      { value: 0.5, timestamp: 2, step: 0 },
      { value: 2, timestamp: 2, step: 0 },
    ];
    for (const point of points) await log(run_id, point);
    expect((await history(run_id)).metrics).toEqual([
      { key: "m", value: 1, timestamp: 1, step: 7 },
      { key: "m", value: 0.5, timestamp: 2, step: 0 },
      { key: "m", value: 2, timestamp: 2, step: 0 },
    ]);
  });

  it("hold NaN as itself and infinities as the largest numbers", async () => {
    const run_id = await newRunId();
    await log(run_id, { value: "NaN", timestamp: 1 });
    expect((await latest(run_id))?.value).toBe("NaN");
    await log(run_id, { value: "Infinity", timestamp: 2 });
    await log(run_id, { value: "-Infinity", timestamp: 3 });
    expect((await history(run_id)).metrics).toEqual([
      { key: "m", value: "NaN", timestamp: 1, step: 0 },
      { key: "m", value: Number.MAX_VALUE, timestamp: 2, step: 0 },
      { key: "m", value: -Number.MAX_VALUE, timestamp: 3, step: 0 },
    ]);
  });

  it("take numbers as text, as the query of a client may send them", async () => {
    const run_id = await newRunId();
    await log(run_id, { value: "0.25", timestamp: "12", step: "-3" });
    expect(await latest(run_id)).toEqual({ key: "m", value: 0.25, timestamp: 12, step: -3 });
  });

  it("hand out the whole history without max_results, and pages with it", async () => {
    const run_id = await newRunId();
    const metrics = Array.from({ length: 25 }, (_, step) => ({
      key: "m",
      value: step,
      timestamp: 1000,
      step,
    }));
    await ground.ask("POST", "/runs/log-batch", { run_id, metrics });
    expect((await history(run_id)).metrics).toHaveLength(25);
    const seen: object[] = [];
    let page_token: string | undefined;
    do {
      const page = await history(run_id, {
        max_results: 10,
        ...(page_token === undefined ? {} : { page_token }),
      });
      seen.push(...(page.metrics ?? []));
      page_token = page.next_page_token;
    } while (page_token !== undefined);
    expect(seen).toEqual(metrics);
    expect(await history(run_id, { metric_key: "other" })).toEqual({});
    for (const fields of [
      { max_results: 0 },
      { max_results: -1 },
      { max_results: 5, page_token: "garbage" },
    ]) {
      const answer = await ground.send("GET", "/metrics/get-history", { run_id, metric_key: "m", ...fields });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE");
    }
  });

  it("give the histories of several runs at once, and an even sample of them", async () => {
    const ids = [await newRunId(), await newRunId()].toSorted();
    for (const run_id of ids) {
      const metrics = Array.from({ length: 100 }, (_, step) => ({
        key: "m",
        value: step,
        timestamp: step,
        step,
      }));
      await ground.ask("POST", "/runs/log-batch", { run_id, metrics });
    }
    type Metrics = { metrics?: { run_id: string; step: number }[] };
    const bulk = await ground.ask<Metrics>("GET", "/metrics/get-history-bulk", {
      run_id: ids,
      metric_key: "m",
    });
    expect(bulk.metrics?.map(({ run_id }) => run_id)).toEqual([
      ...Array(100).fill(ids[0]),
      ...Array(100).fill(ids[1]),
    ]);
    const sample = async (fields: object) => {
      const answer = await ground.ask<Metrics>("GET", "/metrics/get-history-bulk-interval", {
        run_ids: ids[0],
        metric_key: "m",
        ...fields,
      });
      return answer.metrics?.map(({ step }) => step);
    };
    expect(await sample({ max_results: 5 })).toEqual([0, 20, 40, 60, 99]);
    expect(await sample({ max_results: 1 })).toEqual([99]);
    expect(await sample({ max_results: 2500 })).toHaveLength(100);
    expect(await sample({ max_results: 3, start_step: 10, end_step: 12 })).toEqual([10, 11, 12]);
    for (const fields of [
      { start_step: 1 },
      { start_step: 2, end_step: 1 },
      { max_results: 0 },
      { run_ids: [] },
    ]) {
      const answer = await ground.send("GET", "/metrics/get-history-bulk-interval", {
        run_ids: ids,
        metric_key: "m",
        ...fields,
      });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE");
    }
    expectMlflowError(
      await ground.send("GET", "/metrics/get-history-bulk", {
        run_id: Array(101).fill("a"),
        metric_key: "m",
      }),
      400,
      "INVALID_PARAMETER_VALUE",
      /more than 100 run_ids/,
    );
  });

  it.each([
    [{ value: "abc" }, /Invalid value "abc" for parameter 'value'/],
    [{ value: true }, /Invalid value true for parameter 'value'/],
    [{ value: undefined }, /Missing value for required parameter 'value'/],
    [{ timestamp: undefined }, /Missing value for required parameter 'timestamp'/],
    [{ timestamp: -1 }, /Timestamp must be a nonnegative long/],
    [{ timestamp: 1.5 }, /parameter 'timestamp'/],
    [{ step: "x" }, /parameter 'step'/],
    [{ key: undefined }, /Missing value for required parameter 'key'/],
  ])("refuse %j", async (fields, message) => {
    const run_id = await newRunId();
    const answer = await ground.send("POST", "/runs/log-metric", {
      run_id,
      key: "m",
      value: 1,
      timestamp: 1,
      ...fields,
    });
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", message);
  });
});

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

describe("the health of the answers", () => {
  it("never was a server error in these tests", () => {
    expect(ground.logged.filter(({ msg }) => msg === "request failed")).toEqual([]);
  });

  it("answers HEAD as GET, without a body", async () => {
    const answer = await call(ground.app, "HEAD", "/api/2.0/mlflow/experiments/get?experiment_id=0");
    expect([answer.status, answer.body]).toEqual([200, ""]);
  });
});

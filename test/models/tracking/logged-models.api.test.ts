import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

interface Model {
  info: { model_id: string; name: string; status: string; artifact_uri: string; tags?: object[] } & Record<
    string,
    unknown
  >;
  data: { params?: object[]; metrics?: object[] };
}

let ground: MlflowGround;
beforeAll(async () => {
  ground = await mlflowGround();
});
afterAll(() => ground?.close());

const create = async (fields: object = {}) =>
  (await ground.ask<{ model: Model }>("POST", "/logged-models", { experiment_id: "0", ...fields })).model;
const get = async (id: string) => (await ground.ask<{ model: Model }>("GET", `/logged-models/${id}`)).model;

describe("a logged model", () => {
  it("is pending until it is finalized, and tells what it was made of", async () => {
    const model = await create({
      name: "late",
      model_type: "classifier",
      source_run_id: "a".repeat(32),
      params: [{ key: "depth", value: "3" }],
      tags: [{ key: "team", value: "a" }],
    });
    const { model_id } = model.info;
    expect(model).toEqual({
      info: {
        model_id,
        experiment_id: "0",
        name: "late",
        creation_timestamp_ms: ground.clock(),
        last_updated_timestamp_ms: ground.clock(),
        artifact_uri: `mlflow-artifacts:/0/models/${model_id}/artifacts`,
        status: "LOGGED_MODEL_PENDING",
        model_type: "classifier",
        source_run_id: "a".repeat(32),
        tags: [{ key: "team", value: "a" }],
      },
      data: { params: [{ key: "depth", value: "3" }] },
    });
    expect(model_id).toMatch(/^m-[0-9a-f]{32}$/);
    ground.clock.advance(1000);
    const { model: ready } = await ground.ask<{ model: Model }>("PATCH", `/logged-models/${model_id}`, {
      status: "LOGGED_MODEL_READY",
    });
    expect(ready.info).toMatchObject({
      status: "LOGGED_MODEL_READY",
      last_updated_timestamp_ms: ground.clock(),
    });
    await ground.ask("PATCH", `/logged-models/${model_id}`, { status: 3 });
    expect((await get(model_id)).info.status).toBe("LOGGED_MODEL_UPLOAD_FAILED");
  });

  it.each(["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b"])("cannot be called %s", async (name) => {
    const answer = await ground.send("POST", "/logged-models", { experiment_id: "0", name });
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /Invalid model name/);
  });

  it("gets a name when nobody named it", async () => {
    expect((await create()).info.name).toMatch(/^[a-z]+-[a-z]+-\d+$/);
  });

  it("takes parameters and tags later, and loses a tag", async () => {
    const { model_id } = (await create()).info;
    const params = Array.from({ length: 150 }, (_, index) => ({ key: `p${index}`, value: "x".repeat(6001) }));
    await ground.ask("POST", `/logged-models/${model_id}/params`, { params });
    await ground.ask("PATCH", `/logged-models/${model_id}/tags`, {
      tags: [
        { key: "a/b", value: "1" },
        { key: "c", value: "2" },
        { key: "c", value: "3" },
      ],
    });
    const model = await get(model_id);
    expect(model.data.params).toHaveLength(150);
    expect(model.data.params).toContainEqual({ key: "p0", value: "x".repeat(6000) });
    expect(model.info.tags).toEqual([
      { key: "a/b", value: "1" },
      { key: "c", value: "3" },
    ]);
    await ground.ask("DELETE", `/logged-models/${model_id}/tags/a%2Fb`);
    expect((await get(model_id)).info.tags).toEqual([{ key: "c", value: "3" }]);
    expectMlflowError(
      await ground.send("DELETE", `/logged-models/${model_id}/tags/nothing`),
      404,
      "RESOURCE_DOES_NOT_EXIST",
      /No tag with key 'nothing'/,
    );
  });

  it("is gone once deleted, except for who asks for deleted ones", async () => {
    const { model_id } = (await create()).info;
    await ground.ask("DELETE", `/logged-models/${model_id}`);
    expectMlflowError(
      await ground.send("GET", `/logged-models/${model_id}`),
      404,
      "RESOURCE_DOES_NOT_EXIST",
      /not found/,
    );
    expect((await ground.send("GET", `/logged-models/${model_id}`, { allow_deleted: "true" })).status).toBe(
      200,
    );
    for (const [method, path] of [
      ["DELETE", ""],
      ["PATCH", ""],
      ["PATCH", "/tags"],
      ["POST", "/params"],
    ] as const) {
      const answer = await ground.send(method, `/logged-models/${model_id}${path}`, { status: 2 });
      expectMlflowError(answer, 404, "RESOURCE_DOES_NOT_EXIST");
    }
  });

  it("shows the metrics that runs measured on it, by data set", async () => {
    const { model_id } = (await create()).info;
    const { run } = await ground.ask<{ run: { info: { run_id: string } } }>("POST", "/runs/create", {
      experiment_id: "0",
    });
    const { run_id } = run.info;
    const metric = { key: "auc", value: 0.9, timestamp: 5, step: 1, model_id };
    await ground.ask("POST", "/runs/log-metric", { run_id, ...metric });
    await ground.ask("POST", "/runs/log-batch", {
      run_id,
      metrics: [
        metric,
        { ...metric, value: 0.8, dataset_name: "march", dataset_digest: "x" },
        { ...metric, key: "other", model_id: "" },
      ],
    });
    expect((await get(model_id)).data.metrics).toEqual([
      { key: "auc", value: 0.9, timestamp: 5, step: 1, model_id, run_id },
      {
        key: "auc",
        value: 0.8,
        timestamp: 5,
        step: 1,
        model_id,
        run_id,
        dataset_name: "march",
        dataset_digest: "x",
      },
    ]);
  });

  it("lists its files", async () => {
    const { model_id } = (await create()).info;
    const root = `/api/2.0/mlflow-artifacts/artifacts/0/models/${model_id}/artifacts`;
    await call(ground.app, "PUT", `${root}/MLmodel`, new Uint8Array(3));
    await call(ground.app, "PUT", `${root}/data/model.bin`, new Uint8Array(4));
    const list = (fields: object) =>
      ground.ask("GET", `/logged-models/${model_id}/artifacts/directories`, fields);
    expect(await list({})).toEqual({
      root_uri: `mlflow-artifacts:/0/models/${model_id}/artifacts`,
      files: [
        { path: "MLmodel", is_dir: false, file_size: 3 },
        { path: "data", is_dir: true },
      ],
    });
    expect(await list({ artifact_directory_path: "data" })).toMatchObject({
      files: [{ path: "data/model.bin", is_dir: false, file_size: 4 }],
    });
    expectMlflowError(
      await ground.send("GET", `/logged-models/${model_id}/artifacts/directories`, {
        artifact_directory_path: "../x",
      }),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Invalid path$/,
    );
  });
});

describe("searching logged models", () => {
  let experiment_id: string;
  beforeAll(async () => {
    ({ experiment_id } = await ground.ask<{ experiment_id: string }>("POST", "/experiments/create", {
      name: "search",
    }));
    const { run } = await ground.ask<{ run: { info: { run_id: string } } }>("POST", "/runs/create", {
      experiment_id,
    });
    for (const [index, [name, values]] of Object.entries({
      a: [0.1, 0.9],
      b: [0.5],
      c: ["NaN"],
      d: [],
    }).entries()) {
      ground.clock.advance(10);
      const { model_id } = (
        await create({
          experiment_id,
          name,
          params: [{ key: "p", value: name }],
          tags: [{ key: "t", value: name }],
        })
      ).info;
      for (const [step, value] of values.entries()) {
        const dataset = step === 0 ? { dataset_name: "march", dataset_digest: "x" } : {};
        await ground.ask("POST", "/runs/log-metric", {
          run_id: run.info.run_id,
          key: "auc",
          value,
          timestamp: step + 1,
          step,
          model_id,
          ...dataset,
        });
      }
      if (index === 1)
        await ground.ask("PATCH", `/logged-models/${model_id}`, { status: "LOGGED_MODEL_READY" });
    }
  });

  const search = async (fields: object) => {
    const answer = await ground.ask<{ models?: Model[]; next_page_token?: string }>(
      "POST",
      "/logged-models/search",
      {
        experiment_ids: [experiment_id],
        ...fields,
      },
    );
    return {
      names: (answer.models ?? []).map(({ info }) => info.name).join(""),
      token: answer.next_page_token,
    };
  };
  const by = (field_name: string, ascending = true, more: object = {}) => ({
    field_name,
    ascending,
    ...more,
  });

  it("shows the newest first", async () => {
    expect((await search({})).names).toBe("dcba");
    expect(await ground.ask("POST", "/logged-models/search", { experiment_ids: [] })).toEqual({});
  });

  it.each([
    ["name = 'a'", "a"],
    ["name IN ('a','c')", "ca"],
    ["name IN ('a',)", "a"],
    ["name IN ()", ""],
    ["name NOT IN ()", "dcba"],
    ["attributes.status = 'LOGGED_MODEL_READY'", "b"],
    ["metrics.auc > 0.4", "ba"],
    ["metrics.auc < 0.2", "a"],
    ["params.p = 'b' and tags.t LIKE '%'", "b"],
    ["creation_timestamp > 0 and last_updated_timestamp > 0", "dcba"],
  ])("filters by %s", async (filter, expected) => {
    expect((await search({ filter })).names).toBe(expected);
  });

  it("looks at the data sets that are named", async () => {
    expect((await search({ datasets: [{ dataset_name: "march" }] })).names).toBe("cba");
    expect((await search({ datasets: [{ dataset_name: "march", dataset_digest: "y" }] })).names).toBe("");
    expect((await search({ filter: "metrics.auc > 0.8", datasets: [{ dataset_name: "march" }] })).names).toBe(
      "",
    );
  });

  it("orders by attributes and by the latest value of a metric, perhaps on one data set", async () => {
    expect((await search({ order_by: [by("name")] })).names).toBe("abcd");
    expect((await search({ order_by: [by("metrics.auc")] })).names).toBe("bacd");
    expect((await search({ order_by: [by("metrics.auc", false)] })).names).toBe("abcd");
    expect((await search({ order_by: [by("metrics.auc", true, { dataset_name: "march" })] })).names).toBe(
      "abcd",
    );
    expect((await search({ order_by: [by("metrics.auc", true, { dataset_digest: "x" })] })).names).toBe(
      "abcd",
    );
    expect((await search({ order_by: [by("metrics.auc", true, { dataset_digest: "y" })] })).names).toBe(
      "dcba",
    );
  });

  it("takes a page token for the search that gave it, and for no other", async () => {
    const { token } = await search({ max_results: 1, filter: "name != 'z'" });
    expect((await search({ max_results: 1, filter: "name != 'z'", page_token: token })).names).toBe("c");
    for (const other of [{ filter: "name != 'y'" }, { order_by: [by("name")] }, { experiment_ids: ["0"] }]) {
      const answer = await ground.send("POST", "/logged-models/search", {
        experiment_ids: [experiment_id],
        filter: "name != 'z'",
        ...other,
        page_token: token,
      });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /Invalid page token/);
    }
  });

  it("pages by token", async () => {
    const first = await search({ max_results: 3, order_by: [by("metrics.auc")] });
    const second = await search({ max_results: 3, order_by: [by("metrics.auc")], page_token: first.token });
    expect([first.names, second.names, second.token]).toEqual(["bac", "d", undefined]);
  });

  it.each([
    [{ filter: "flavor = 'x'" }, /Invalid attribute key 'flavor'/],
    [{ filter: "runs.x = 'x'" }, /Invalid entity type 'runs'/],
    [{ order_by: [{ field_name: "params.p" }] }, /Only attributes and metrics/],
    [{ order_by: [{ field_name: "flavor" }] }, /Invalid attribute key/],
    [{ datasets: [{ dataset_digest: "x" }] }, /required parameter 'datasets\[0\].dataset_name'/],
    [{ page_token: "garbage" }, /Invalid page token/],
  ])("refuses %j", async (fields, message) => {
    const answer = await ground.send("POST", "/logged-models/search", {
      experiment_ids: [experiment_id],
      ...fields,
    });
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", message);
  });
});

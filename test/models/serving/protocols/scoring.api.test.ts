import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../../support/application.ts";
import { type ServingGround, servingGround } from "../ground.ts";
import { identityModel, linearModel, oneHotModel, sumModel, zipMapModel } from "../models.ts";

/** As MLflow writes it: JSON in a single-quoted scalar, folded at 80 columns. */
const mlModel = `artifact_path: model
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.17.0
    providers:
    - CUDAExecutionProvider
    - CPUExecutionProvider
    save_as_external_data: true
  python_function:
    data: model.onnx
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.onnx
mlflow_version: 2.19.0
signature:
  inputs: '[{"type": "double", "name": "distance", "required": true}, {"type": "double",
    "name": "pilot''s age", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1,
    1]}}]'
  params: '[{"name": "limit", "type": "long", "default": 3, "shape": null}, {"name":
    "levels", "type": "double", "default": [0.5], "shape": [-1]}]'
utc_time_created: '2026-01-05 09:00:00.000000'
`;

const signedBy = (columns: readonly string[]) =>
  JSON.stringify({
    flavors: { onnx: { data: "model.onnx" } },
    signature: { inputs: JSON.stringify(columns.map((name) => ({ type: "double", name }))) },
  });
let ground: ServingGround;
beforeAll(async () => {
  ground = await servingGround();
  const { models } = ground;
  await models.register("linear", { "model.onnx": linearModel([1, 10]) });
  await models.register("signed", { MLmodel: mlModel, "model.onnx": linearModel([1, 10]) });
  await models.register("signed-sum", { MLmodel: signedBy(["a", "b"]), "model.onnx": sumModel() });
  await models.register("sum", { "model.onnx": sumModel() });
  await models.register("colours", { "model.onnx": oneHotModel(["red", "green"]) });
  await models.register("zip", { "model.onnx": zipMapModel(["no", "yes"]) });
  await models.register("int64", { "model.onnx": identityModel("int64") });
  await models.register("float64", { "model.onnx": identityModel("float64", ["N", 1]) });
  await models.register("cube", { "model.onnx": identityModel("float32", ["N", 2, 2]) });
});
afterAll(() => ground.close());

const score = (model: string, body: unknown, contentType = "application/json") =>
  call(ground.app, "POST", `/serving/${model}/invocations`, body, { "content-type": contentType });
const predictions = async (model: string, body: unknown, contentType?: string) => {
  const answer = await score(model, body, contentType);
  expect(answer.body).toHaveProperty("predictions");
  return (answer.body as { predictions: unknown }).predictions;
};

/*
 * What MLflow 3.17's own scoring server (mlflow.pyfunc.scoring_server) answers to these bodies, for the same graphs and
 * signatures: y = distance + 10 age over one input, and a + b over two.
 */
describe("a model whose signature names columns", () => {
  const rows = [{ Y: 21 }, { Y: 43 }];
  it.each([
    [
      "a split table in another order",
      {
        dataframe_split: {
          columns: ["pilot's age", "z", "distance"],
          data: [
            [2, 9, 1],
            [4, 9, 3],
          ],
        },
      },
      rows,
    ],
    [
      "records",
      {
        dataframe_records: [
          { distance: 1, "pilot's age": 2 },
          { distance: 3, "pilot's age": 4 },
        ],
      },
      rows,
    ],
    [
      "instances of objects",
      {
        instances: [
          { distance: 1, "pilot's age": 2 },
          { distance: 3, "pilot's age": 4 },
        ],
      },
      rows,
    ],
    [
      "inputs of objects",
      {
        inputs: [
          { distance: 1, "pilot's age": 2 },
          { "pilot's age": 4, distance: 3 },
        ],
      },
      rows,
    ],
    ["inputs by columns", { inputs: { "pilot's age": [2, 4], distance: [1, 3] } }, rows],
    [
      "inputs by columns with another",
      { inputs: { z: [0, 0], "pilot's age": [2, 4], distance: [1, 3] } },
      rows,
    ],
    ["inputs of single values", { inputs: { "pilot's age": 2, distance: 1 } }, [{ Y: 21 }]],
    ["CSV", "pilot's age,distance\n2,1\n4,3\n", rows],
  ])("is answered by rows: %s", async (_, body, expected) => {
    const type = typeof body === "string" ? "text/csv" : "application/json";
    expect(await predictions("signed", body, type)).toEqual(expected);
  });

  it.each([
    ["inputs by columns", { inputs: { b: [2, 4], a: [1, 3] } }],
    ["inputs by columns with another", { inputs: { b: [2, 4], z: [9, 9], a: [1, 3] } }],
    [
      "inputs of objects",
      {
        inputs: [
          { a: 1, b: 2 },
          { a: 3, b: 4 },
        ],
      },
    ],
    [
      "instances of objects",
      {
        instances: [
          { a: 1, b: 2 },
          { a: 3, b: 4 },
        ],
      },
    ],
  ])("is answered by rows where each column is an input: %s", async (_, body) => {
    expect(await predictions("signed-sum", body)).toEqual([{ sum: 3 }, { sum: 7 }]);
  });

  it.each([
    ["a column too few", { inputs: { distance: [1, 3] } }, '"pilot\'s age" missing'],
    [
      "columns of other lengths",
      { inputs: { distance: [1, 3], "pilot's age": [2] } },
      "they must have as many",
    ],
    [
      "a column twice",
      { dataframe_split: { columns: ["distance", "distance", "pilot's age"], data: [[1, 7, 2]] } },
      'the column "distance" twice',
    ],
    ["a column twice in CSV", "distance,distance,pilot's age\n1,7,2\n", 'the column "distance" twice'],
    ["inputs of objects and others", { inputs: [{ distance: 1, "pilot's age": 2 }, 3] }, "inputs[1] is"],
  ])("refuses %s", async (_, body, message) => {
    const type = typeof body === "string" ? "text/csv" : "application/json";
    const answer = await score("signed", body, type);
    expect(answer.status).toBe(400);
    expect((answer.body as { message: string }).message).toContain(message);
  });
});

describe("the paths without a name", () => {
  it("answer for one model where the configuration names it, and for none otherwise", async () => {
    const one = await servingGround({ rootModel: "only" });
    const body = { inputs: [[1, 2]] };
    try {
      expect((await call(one.app, "GET", "/ping")).status).toBe(404);
      await one.models.register("only", { "model.onnx": linearModel([1, 10]) });
      const answer = await call(one.app, "POST", "/invocations", body);
      expect(answer.body).toEqual({ predictions: { Y: [[21]] } });
      expect(answer.headers.get("ketline-model")).toBe("only");
      expect(await call(one.app, "GET", "/ping")).toMatchObject({ status: 200, body: "\n" });
      const wrong = await call(one.app, "POST", "/invocations", "x", { "content-type": "text/plain" });
      expect(wrong).toMatchObject({ status: 415, body: { error_code: "BAD_REQUEST" } });
    } finally {
      await one.close();
    }
    expect((await call(ground.app, "POST", "/invocations", body)).status).toBe(404);
    expect((await call(ground.app, "GET", "/ping")).status).toBe(404);
  });
});

describe("MLflow's scoring protocol", () => {
  it("answers a split table row by row", async () => {
    expect(
      await predictions("linear", {
        dataframe_split: {
          columns: ["a", "b"],
          data: [
            [1, 2],
            [3, 4],
          ],
        },
      }),
    ).toEqual([{ Y: 21 }, { Y: 43 }]);
  });

  it("answers records, whatever the order of their keys", async () => {
    expect(
      await predictions("linear", {
        dataframe_records: [
          { a: 1, b: 2 },
          { b: 4, a: 3 },
        ],
      }),
    ).toEqual([{ Y: 21 }, { Y: 43 }]);
  });

  it("matches columns with the model's signature by name and passes over others", async () => {
    const data = [{ "pilot's age": 2, other: "x", distance: 1 }];
    expect(await predictions("signed", { dataframe_records: data })).toEqual([{ Y: 21 }]);
    const answer = await score("signed", { dataframe_records: [{ distance: 1 }] });
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({
      error_code: "BAD_REQUEST",
      message: `Column "pilot's age" missing; the model takes "distance", "pilot's age".`,
    });
  });

  it("answers instances and inputs tensor by tensor", async () => {
    expect(
      await predictions("linear", {
        instances: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).toEqual({ Y: [[21], [43]] });
    expect(await predictions("linear", { inputs: [[1, 2]] })).toEqual({ Y: [[21]] });
    expect(await predictions("linear", { inputs: { X: [[1, 2]] } })).toEqual({ Y: [[21]] });
    expect(
      await predictions("cube", {
        inputs: [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      }),
    ).toEqual({
      Y: [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    });
  });

  it("feeds columns to the inputs of the same name", async () => {
    expect(await predictions("sum", { dataframe_records: [{ a: 1, b: 2, c: 9 }] })).toEqual([{ sum: 3 }]);
    expect(await predictions("sum", { inputs: { a: [1, 2], b: [3, 4] } })).toEqual({ sum: [[4], [6]] });
    expect(
      await predictions("colours", { dataframe_split: { columns: ["colour"], data: [["green"]] } }),
    ).toEqual([{ hot: [[0, 1]] }]);
  });

  it("answers a classifier's scores by class in each row", async () => {
    const rows = (await predictions("zip", { dataframe_records: [{ x: 5 }] })) as Record<string, unknown>[];
    expect(rows).toMatchObject([{ output_label: "yes", output_probability: { no: expect.any(Number) } }]);
  });

  it("reads CSV", async () => {
    expect(await predictions("linear", "a,b\n1,2\r\n\n3, 4\n", "text/csv")).toEqual([{ Y: 21 }, { Y: 43 }]);
    expect(await predictions("colours", 'n,colour\n1,"red"\n', "text/csv; charset=utf-8")).toEqual([
      { hot: [[1, 0]] },
    ]);
  });

  it("reads Python's NaN and Infinity, and missing values", async () => {
    const body = '{"dataframe_split":{"columns":["X"],"data":[[NaN],[-Infinity],[null],[1.5]]}}';
    const response = await ground.app.request("/serving/float64/invocations", {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    expect(await response.text()).toBe('{"predictions":[{"Y":null},{"Y":-1e999},{"Y":null},{"Y":1.5}]}');
    expect(await predictions("float64", "X\n\nnan\n", "text/csv")).toEqual([{ Y: null }]);
  });

  it("keeps every digit of large integers", async () => {
    const response = await ground.app.request("/serving/int64/invocations", {
      method: "POST",
      body: '{"inputs":[9007199254740993]}',
      headers: { "content-type": "application/json" },
    });
    expect(await response.text()).toBe('{"predictions":{"Y":[9007199254740993]}}');
    const csv = await ground.app.request("/serving/int64/invocations", {
      method: "POST",
      body: "X\n9007199254740993\n",
      headers: { "content-type": "text/csv" },
    });
    expect(await csv.text()).toBe('{"predictions":[{"Y":9007199254740993}]}');
  });

  it("answers no rows with no rows", async () => {
    expect(await predictions("linear", { dataframe_split: { columns: ["a", "b"], data: [] } })).toEqual([]);
  });

  it("passes over parameters that the model does not declare and refuses wrong ones", async () => {
    const table = { dataframe_records: [{ distance: 1, "pilot's age": 2 }] };
    expect(await predictions("signed", { ...table, params: { other: 1, limit: 4, levels: [1.5] } })).toEqual([
      { Y: 21 },
    ]);
    const answer = await score("signed", { ...table, params: { limit: "many" } });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ message: 'params.limit is "many"; the model declares long.' });
  });

  it.each<[string, string, unknown, string]>([
    ["no JSON", "linear", "{", "not JSON"],
    ["a list", "linear", "[]", "exactly one of dataframe_split"],
    ["no format", "linear", { data: [] }, "the keys [data]"],
    ["two formats", "linear", { instances: [], inputs: [] }, "instances and inputs"],
    [
      "a ragged table",
      "linear",
      { dataframe_split: { columns: ["a", "b"], data: [[1]] } },
      "data[0] is 1 cells",
    ],
    ["a table without data", "linear", { dataframe_split: { columns: [] } }, "dataframe_split is an object"],
    ["records that are none", "linear", { dataframe_records: [1] }, "dataframe_records[0] is 1"],
    ["too many columns", "linear", { dataframe_records: [{ a: 1, b: 2, c: 3 }] }, "has 3 columns"],
    ["text for numbers", "linear", { dataframe_records: [{ a: 1, b: "x" }] }, 'Row 0, column "b" is "x"'],
    ["a missing column", "sum", { dataframe_records: [{ a: 1 }] }, 'Column "b" missing; the table has "a"'],
    ["a list for many inputs", "sum", { instances: [[1]] }, "The model has 2 inputs"],
    ["ragged lists", "cube", { inputs: [[[1, 2], [3]]] }, "nested data"],
    ["missing text", "colours", { dataframe_records: [{ colour: null }] }, "is null; the model takes text"],
  ])("answers 400 to %s", async (_, model, body, message) => {
    const answer = await score(model, body);
    expect(answer.body).toMatchObject({
      error_code: "BAD_REQUEST",
      message: expect.stringContaining(message),
    });
    expect(answer.status).toBe(400);
  });

  it.each(["text/plain", "application/json; charset=latin-1", "application/json; format=pandas-split"])(
    "answers 415 in the protocol's JSON to %s",
    async (contentType) => {
      const answer = await score("linear", "{}", contentType);
      expect(answer.status).toBe(415);
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(answer.body).toEqual({
        error_code: "BAD_REQUEST",
        message: expect.stringContaining(`The content type is ${contentType}; application/json or text/csv`),
      });
    },
  );

  it("answers probes as MLflow's server does", async () => {
    for (const probe of ["ping", "health"]) {
      const answer = await call(ground.app, "GET", `/serving/linear/${probe}`);
      expect([answer.status, answer.body]).toEqual([200, "\n"]);
      expect((await call(ground.app, "GET", `/serving/nobody/${probe}`)).status).toBe(404);
    }
    expect((await call(ground.app, "GET", "/serving/linear/version")).body).toMatch(/^\d+\.\d+/);
  });
});

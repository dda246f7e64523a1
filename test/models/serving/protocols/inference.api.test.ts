import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../../support/application.ts";
import { type ServingGround, servingGround } from "../ground.ts";
import {
  customOperatorModel,
  externalModel,
  identityModel,
  linearModel,
  oneHotModel,
  sumModel,
  treeModel,
  zipMapModel,
} from "../models.ts";

let ground: ServingGround;
beforeAll(async () => {
  ground = await servingGround();
  const { models } = ground;
  await models.register("linear", { "model.onnx": linearModel([1, 10, 100], 0.5) });
  await models.register("sum", { "model.onnx": sumModel() });
  await models.register("colours", { "model.onnx": oneHotModel(["red", "green"]) });
  await models.register("tree", { "model.onnx": treeModel(0.5, -1, 1) });
  await models.register("zip-int", { "model.onnx": zipMapModel([3, 7]) });
  await models.register("zip-text", { "model.onnx": zipMapModel(["no", "yes"]) });
  for (const type of ["int64", "float64", "bool", "string"] as const) {
    await models.register(type, { "model.onnx": identityModel(type) });
  }
  await models.register("scalar", { "model.onnx": identityModel("float32", []) });
});
afterAll(() => ground.close());

const infer = (model: string, body: unknown, headers?: Record<string, string>) =>
  call(ground.app, "POST", `/v2/models/${model}/infer`, body, headers);
const outputsOf = (answer: { body: unknown }) =>
  (answer.body as { outputs: { name: string; data: unknown; shape: number[]; datatype: string }[] }).outputs;
const errorOf = (answer: { body: unknown }) => (answer.body as { error: string }).error;
const x = (datatype: string, shape: number[], data: unknown) => ({
  inputs: [{ name: "X", shape, datatype, data }],
});

describe("predictions over the Open Inference Protocol", () => {
  it("answer a registered model, with headers that say who answered", async () => {
    const answer = await infer("linear", { id: "42", ...x("FP32", [2, 3], [1, 2, 3, 4, 5, 6]) });
    expect(answer.body).toEqual({
      model_name: "linear",
      model_version: "1",
      id: "42",
      outputs: [{ name: "Y", datatype: "FP32", shape: [2, 1], data: [321.5, 654.5] }],
    });
    expect(answer.headers.get("ketline-model")).toBe("linear");
    expect(answer.headers.get("ketline-model-version")).toBe("1");
    expect(answer.headers.get("ketline-revision")).toBeNull();
    expect(answer.headers.get("server-timing")).toMatch(/route;dur=.*run;dur=/);
    expect(answer.headers.get("content-type")).toBe("application/json");
  });

  it("take nested data and use the request id where the request has no id", async () => {
    const answer = await infer("linear", x("FP32", [1, 3], [[1, 1, 1]]), { "x-request-id": "r-1" });
    expect(answer.body).toMatchObject({ id: "r-1", outputs: [{ data: [111.5] }] });
    expect(answer.headers.get("x-request-id")).toBe("r-1");
  });

  it("answer no rows with no rows", async () => {
    const answer = await infer("linear", x("FP32", [0, 3], []));
    expect(outputsOf(answer)).toEqual([{ name: "Y", datatype: "FP32", shape: [0, 1], data: [] }]);
  });

  it("take a scalar", async () => {
    expect(outputsOf(await infer("scalar", x("FP32", [], [2.5])))).toMatchObject([
      { shape: [], data: [2.5] },
    ]);
  });

  it("feed several inputs by name, in any order", async () => {
    const inputs = [
      { name: "b", shape: [2, 1], datatype: "FP32", data: [10, 20] },
      { name: "a", shape: [2, 1], datatype: "FP32", data: [1, 2] },
    ];
    expect(outputsOf(await infer("sum", { inputs }))).toMatchObject([{ name: "sum", data: [11, 22] }]);
  });

  it("take text", async () => {
    const inputs = [{ name: "colour", shape: [2, 1], datatype: "BYTES", data: ["green", "blue"] }];
    expect(outputsOf(await infer("colours", { inputs }))).toMatchObject([
      { name: "hot", shape: [2, 1, 2], data: [0, 1, 0, 0] },
    ]);
  });

  it("keep every digit of 64-bit integers in both directions", async () => {
    const body =
      '{"inputs":[{"name":"X","shape":[3],"datatype":"INT64","data":[9007199254740993,-9223372036854775808,1]}]}';
    const response = await ground.app.request("/v2/models/int64/infer", { method: "POST", body });
    expect(await response.text()).toContain('"data":[9007199254740993,-9223372036854775808,1]');
  });

  it("take the tokens NaN and Infinity, and write null and 1e999 for them", async () => {
    const body =
      '{"inputs":[{"name":"X","shape":[4],"datatype":"FP64","data":[NaN,Infinity,-Infinity,null]}]}';
    const response = await ground.app.request("/v2/models/float64/infer", { method: "POST", body });
    expect(await response.text()).toContain('"data":[null,1e999,-1e999,null]');
  });

  it("carry truth values and text through", async () => {
    expect(outputsOf(await infer("bool", x("BOOL", [3], [true, false, 1])))).toMatchObject([
      { datatype: "BOOL", data: [true, false, true] },
    ]);
    expect(outputsOf(await infer("string", x("BYTES", [2], ["é\n", ""])))).toMatchObject([
      { datatype: "BYTES", data: ["é\n", ""] },
    ]);
  });

  it("give classifiers' scores as a matrix where ONNX has a sequence of maps", async () => {
    for (const [model, labels, label] of [
      ["zip-int", ["3", "7"], [3, 7]],
      ["zip-text", ["no", "yes"], ["no", "yes"]],
    ] as const) {
      const outputs = outputsOf(await infer(model, x("FP32", [2, 1], [-2, 2])));
      expect(outputs[0]).toMatchObject({ name: "output_label", data: label });
      expect(outputs[1]).toMatchObject({ name: "output_probability", shape: [2, 2] });
      const [a = 0, b = 0] = (outputs[1]?.data ?? []) as number[];
      expect(a).toBeGreaterThan(0.9);
      expect(a + b).toBeCloseTo(1, 6);
      const metadata = await call(ground.app, "GET", `/v2/models/${model}`);
      expect(metadata.body).toMatchObject({
        outputs: [{}, { parameters: { class_labels: JSON.stringify(labels) } }],
      });
    }
  });

  it("compute only the outputs that are asked for", async () => {
    const answer = await infer("zip-int", { ...x("FP32", [1, 1], [1]), outputs: [{ name: "output_label" }] });
    expect(outputsOf(answer).map(({ name }) => name)).toEqual(["output_label"]);
  });

  it("take packed bodies", async () => {
    const body = gzipSync(JSON.stringify(x("FP32", [1, 3], [1, 1, 1])));
    const answer = await call(ground.app, "POST", "/v2/models/linear/infer", new Uint8Array(body), {
      "content-encoding": "gzip",
    });
    expect(outputsOf(answer)).toMatchObject([{ data: [111.5] }]);
  });

  it("ask a version when the path names one", async () => {
    await ground.models.register("two", { "model.onnx": linearModel([1]) });
    await ground.models.register("two", { "model.onnx": linearModel([2]) });
    const ask = async (path: string) =>
      outputsOf(await call(ground.app, "POST", path, x("FP32", [1, 1], [5])))[0]?.data;
    expect(await ask("/v2/models/two/infer")).toEqual([10]);
    expect(await ask("/v2/models/two/versions/1/infer")).toEqual([5]);
    ground.models.alias("two", "champion", 1);
    ground.settle();
    expect(await ask("/v2/models/two/infer")).toEqual([5]);
  });
});

describe("binary tensors", () => {
  const binaryBody = (json: unknown, ...parts: Uint8Array[]) => {
    const head = new TextEncoder().encode(JSON.stringify(json));
    const bytes = Buffer.concat([head, ...parts]);
    return {
      bytes: new Uint8Array(bytes),
      headers: { "inference-header-content-length": String(head.length) },
    };
  };

  it("come in and go out as bytes", async () => {
    const floats = new Uint8Array(new Float32Array([1, 2, 3]).buffer);
    const { bytes, headers } = binaryBody(
      {
        inputs: [{ name: "X", shape: [1, 3], datatype: "FP32", parameters: { binary_data_size: 12 } }],
        outputs: [{ name: "Y", parameters: { binary_data: true } }],
      },
      floats,
    );
    const response = await ground.app.request("/v2/models/linear/infer", {
      method: "POST",
      body: bytes,
      headers,
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    const length = Number(response.headers.get("inference-header-content-length"));
    const body = new Uint8Array(await response.arrayBuffer());
    const json = JSON.parse(new TextDecoder().decode(body.subarray(0, length)));
    expect(json.outputs).toEqual([
      { name: "Y", datatype: "FP32", shape: [1, 1], parameters: { binary_data_size: 4 } },
    ]);
    expect(new DataView(body.buffer, length).getFloat32(0, true)).toBe(321.5);
  });

  it("carry text with its length before it, mixed with JSON", async () => {
    const text = new TextEncoder().encode("été");
    const element = new Uint8Array(4 + text.length);
    new DataView(element.buffer).setUint32(0, text.length, true);
    element.set(text, 4);
    const { bytes, headers } = binaryBody(
      {
        parameters: { binary_data_output: true },
        inputs: [
          { name: "X", shape: [1], datatype: "BYTES", parameters: { binary_data_size: element.length } },
        ],
      },
      element,
    );
    const response = await ground.app.request("/v2/models/string/infer", {
      method: "POST",
      body: bytes,
      headers,
    });
    const length = Number(response.headers.get("inference-header-content-length"));
    const body = new Uint8Array(await response.arrayBuffer());
    expect(body.subarray(length)).toEqual(element);
  });

  it.each([
    ["a size that is not that of the shape", 8, 8, "has 8 bytes; its shape [1, 3] of FP32 needs 12"],
    ["fewer bytes than said", 12, 8, "only 8 bytes are left"],
    ["more bytes than said", 12, 16, "16 bytes follow the JSON"],
  ])("are refused with %s", async (_, declared, sent, message) => {
    const { bytes, headers } = binaryBody(
      {
        inputs: [{ name: "X", shape: [1, 3], datatype: "FP32", parameters: { binary_data_size: declared } }],
      },
      new Uint8Array(sent),
    );
    const answer = await call(ground.app, "POST", "/v2/models/linear/infer", bytes, headers);
    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toContain(message);
  });

  it.each(["-1", "abc", "99999"])("are refused with the header length %s", async (length) => {
    const answer = await infer("linear", x("FP32", [1, 3], [1, 2, 3]), {
      "inference-header-content-length": length,
    });
    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toContain("Inference-Header-Content-Length");
  });

  it("are refused when text is cut short", async () => {
    const { bytes, headers } = binaryBody(
      { inputs: [{ name: "X", shape: [1], datatype: "BYTES", parameters: { binary_data_size: 5 } }] },
      new Uint8Array([9, 0, 0, 0, 65]),
    );
    const answer = await call(ground.app, "POST", "/v2/models/string/infer", bytes, headers);
    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toContain("are not 1 elements of BYTES");
  });
});

describe("a wrong request is answered 400 with what would be right", () => {
  it.each<[string, string, unknown, string]>([
    ["no JSON", "linear", "{", "not JSON"],
    ["no object", "linear", "[]", "a JSON object would be right"],
    ["no inputs", "linear", {}, "inputs is missing"],
    ["an input without a name", "linear", { inputs: [{}] }, "inputs[0].name is missing"],
    ["an unknown datatype", "linear", x("FLOAT", [1, 3], [1, 2, 3]), 'datatype is "FLOAT"; one of BOOL'],
    ["a negative size", "linear", x("FP32", [-1, 3], [1, 2, 3]), "shape is [-1,3]"],
    ["a shape of text", "linear", x("FP32", "3" as never, [1]), 'shape is "3"'],
    ["the wrong datatype", "linear", x("FP64", [1, 3], [1, 2, 3]), 'Input "X" is FP64; the model takes FP32'],
    ["too few columns", "linear", x("FP32", [1, 2], [1, 2]), "has the shape [1, 2]; the model takes [-1, 3]"],
    ["a missing dimension", "linear", x("FP32", [3], [1, 2, 3]), "has the shape [3]"],
    ["too few elements", "linear", x("FP32", [1, 3], [1, 2]), "has 2 elements; its shape [1, 3] needs 3"],
    ["ragged lists", "linear", x("FP32", [2, 3], [[1, 2, 3], [1]]), "a list of 1 where the shape [2, 3]"],
    ["text for a number", "linear", x("FP32", [1, 3], [1, "2", 3]), 'element 1 is "2"'],
    ["no data", "linear", x("FP32", [1, 3], undefined), "its data is missing"],
    ["a fraction for an integer", "int64", x("INT64", [1], [1.5]), "element 0 is 1.5"],
    ["an integer too large", "int64", x("INT64", [1], ["9223372036854775808"]), "that fits INT64"],
    ["a number for text", "string", x("BYTES", [1], [7]), "element 0 is 7; BYTES takes text"],
    ["a number for a truth value", "bool", x("BOOL", [1], [2]), "element 0 is 2"],
    [
      "a missing input",
      "sum",
      { inputs: [{ name: "a", shape: [1, 1], datatype: "FP32", data: [1] }] },
      'Input "b" missing',
    ],
    [
      "an input too many",
      "linear",
      {
        inputs: [
          ...x("FP32", [1, 3], [1, 2, 3]).inputs,
          { name: "Z", shape: [1], datatype: "FP32", data: [1] },
        ],
      },
      'no input "Z"',
    ],
    [
      "an input twice",
      "linear",
      { inputs: [...x("FP32", [1, 3], [1, 2, 3]).inputs, ...x("FP32", [1, 3], [1, 2, 3]).inputs] },
      'Input "X" is given twice',
    ],
    [
      "two inputs that disagree on the batch",
      "sum",
      {
        inputs: [
          { name: "a", shape: [2, 1], datatype: "FP32", data: [1, 2] },
          { name: "b", shape: [1, 1], datatype: "FP32", data: [1] },
        ],
      },
      'its dimension "batch" is 1, but it is 2 in input "a"',
    ],
    [
      "an unknown output",
      "linear",
      { ...x("FP32", [1, 3], [1, 2, 3]), outputs: [{ name: "Q" }] },
      'no output "Q"; it has "Y"',
    ],
    ["an id that is no text", "linear", { id: 7, ...x("FP32", [1, 3], [1, 2, 3]) }, "id is 7"],
    [
      "shared memory",
      "linear",
      { inputs: [{ name: "X", shape: [1], datatype: "FP32", parameters: { shared_memory_region: "r" } }] },
      "shared memory is not offered",
    ],
  ])("with %s", async (_, model, body, message) => {
    const answer = await infer(model, body);
    expect(errorOf(answer)).toContain(message);
    expect(answer.status).toBe(400);
    expect(answer.headers.get("content-type")).toBe("application/json");
  });

  it("names the model that refused it in the headers", async () => {
    const answer = await infer("linear", x("FP64", [1, 3], [1, 2, 3]));
    expect(answer.headers.get("ketline-model-version")).toBe("1");
  });

  it("survives deeply nested lists", async () => {
    const depth = 100_000;
    const body = `{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":${"[".repeat(depth)}${"]".repeat(depth)}}]}`;
    expect((await infer("linear", body)).status).toBe(400);
  });

  it.each([
    ["/v2/models/nobody/infer", 'no deployment "nobody" and no registered model'],
    ["/v2/models/linear/versions/9/infer", "no version 9"],
  ])("and 404 when nothing is there: %s", async (path, message) => {
    const answer = await call(ground.app, "POST", path, x("FP32", [1, 3], [1, 2, 3]));
    expect(answer.status).toBe(404);
    expect(errorOf(answer)).toContain(message);
  });

  it("with a version that is no number", async () => {
    const answer = await call(
      ground.app,
      "POST",
      "/v2/models/linear/versions/one/infer",
      x("FP32", [1, 3], []),
    );
    expect(answer.status).toBe(400);
  });
});

describe("models that cannot be served are answered 4xx with the reason", () => {
  const ask = async (name: string, files: Parameters<typeof ground.models.register>[1]) => {
    await ground.models.register(name, files);
    ground.settle();
    return infer(name, x("FP32", [1], [1]));
  };

  it.each<[string, Parameters<typeof ground.models.register>[1], string]>([
    ["garbage", { "model.onnx": "not a model at all" }, "not an ONNX model"],
    ["an empty file", { "model.onnx": "" }, "not an ONNX model"],
    ["a custom operator", { "model.onnx": customOperatorModel() }, "custom operator com.example.Secret"],
    ["no ONNX file", { "notes.txt": "hello" }, "no ONNX file"],
    ["two ONNX files", { "a.onnx": linearModel([1]), "b.onnx": linearModel([1]) }, "2 ONNX files"],
    [
      "only other MLflow flavours",
      { MLmodel: "flavors:\n  sklearn:\n    pickled_model: model.pkl\n", "model.pkl": "x" },
      "flavours sklearn; only onnx",
    ],
    [
      "external data above its folder",
      { "model.onnx": externalModel("../../secret.bin").model },
      "outside of the model's folder",
    ],
    [
      "external data at an absolute path",
      { "model.onnx": externalModel("/etc/hostname").model },
      "outside of the model's folder",
    ],
    [
      "external data that is missing",
      { "model.onnx": externalModel("weights.bin").model },
      "no such file beside it",
    ],
    [
      "an MLmodel that points out of its folder",
      { MLmodel: "flavors:\n  onnx:\n    data: ../../x.onnx\n" },
      "outside of the model's folder",
    ],
  ])("%s", async (what, files, message) => {
    const answer = await ask(`bad ${what}`.replaceAll(" ", "-"), files);
    expect(errorOf(answer)).toContain(message);
    expect(errorOf(answer)).toContain("cannot be served");
    expect(answer.status).toBe(400);
  });

  it("a truncated file", async () => {
    const { bytesOf } = await import("../models.ts");
    const bytes = bytesOf(linearModel([1, 2, 3, 4, 5]));
    const answer = await ask("truncated", { "model.onnx": bytes.subarray(0, bytes.length - 20) });
    expect(answer.status).toBe(400);
  });

  it("and their files must still be there", async () => {
    await ground.models.register("gone", { "model.onnx": linearModel([1]) });
    await ground.blobs.delete("models/gone/1/files/model.onnx");
    ground.settle();
    const answer = await infer("gone", x("FP32", [1, 1], [1]));
    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toContain("not there any more");
  });
});

describe("models of other forms", () => {
  it("with external data beside them", async () => {
    const { model, data } = externalModel("weights.bin");
    await ground.models.register("external", { "model.onnx": model, "weights.bin": data });
    ground.settle();
    const answer = await infer("external", x("FP32", [1, 4], [1, 1, 1, 1]));
    expect(outputsOf(answer)).toMatchObject([{ data: [10] }]);
  });

  it("as MLflow folders, in a subfolder that the MLmodel file names", async () => {
    await ground.models.register("folder", {
      MLmodel: "flavors:\n  onnx:\n    data: data/net.onnx\n    onnx_version: 1.17.0\n",
      "data/net.onnx": linearModel([3]),
    });
    ground.settle();
    expect(outputsOf(await infer("folder", x("FP32", [1, 1], [2])))).toMatchObject([{ data: [6] }]);
  });
});

describe("metadata, readiness, repository and statistics", () => {
  it("describe the server", async () => {
    const answer = await call(ground.app, "GET", "/v2");
    expect(answer.body).toMatchObject({ name: "ketline" });
    expect((answer.body as { extensions: string[] }).extensions).toContain("binary_tensor_data");
    expect((await call(ground.app, "GET", "/v2/health/live")).body).toEqual({ live: true });
    expect((await call(ground.app, "GET", "/v2/health/ready")).body).toEqual({ live: true, ready: true });
  });

  it("describe a model by its own graph", async () => {
    expect((await call(ground.app, "GET", "/v2/models/linear")).body).toEqual({
      name: "linear",
      versions: ["1"],
      platform: "onnxruntime_onnx",
      inputs: [{ name: "X", datatype: "FP32", shape: [-1, 3] }],
      outputs: [{ name: "Y", datatype: "FP32", shape: [-1, 1] }],
    });
    expect((await call(ground.app, "GET", "/v2/models/linear/versions/1/ready")).body).toEqual({
      name: "linear",
      ready: true,
    });
    expect((await call(ground.app, "GET", "/v2/models/nobody/ready")).status).toBe(404);
    const misnamed = await call(ground.app, "GET", "/v2/models/linear/versions/first/ready");
    expect([misnamed.status, misnamed.body]).toEqual([400, { error: expect.stringContaining('"first"') }]);
  });

  it("load, list and unload", async () => {
    await ground.models.register("loadable", { "model.onnx": linearModel([1]) });
    ground.settle();
    const entry = async () => {
      const { body } = await call(ground.app, "POST", "/v2/repository/index", {});
      return (body as { name: string }[]).find(({ name }) => name === "loadable");
    };
    expect(await entry()).toMatchObject({
      version: "1",
      state: "READY",
      reason: "loads at its first request",
    });
    const load = await call(ground.app, "POST", "/v2/repository/models/loadable/load", {});
    expect(load.body).toEqual({ name: "loadable", load: true });
    expect(await entry()).toMatchObject({ state: "READY", reason: "" });
    const unload = await call(ground.app, "POST", "/v2/repository/models/loadable/unload", {});
    expect(unload.body).toEqual({ name: "loadable", unload: true });
    expect(await entry()).toMatchObject({ reason: "loads at its first request" });
    expect(outputsOf(await infer("loadable", x("FP32", [1, 1], [4])))).toMatchObject([{ data: [4] }]);
  });

  it("count rows and executions", async () => {
    await ground.models.register("counted", { "model.onnx": linearModel([1]) });
    ground.settle();
    await infer("counted", x("FP32", [3, 1], [1, 2, 3]));
    await infer("counted", x("FP64", [1, 1], [1]));
    await new Promise((resolve) => setImmediate(resolve));
    const { body } = await call(ground.app, "GET", "/v2/models/counted/stats");
    expect(body).toMatchObject({
      model_stats: [
        {
          name: "counted",
          version: "1",
          inference_count: 3,
          execution_count: 1,
          inference_stats: { success: { count: 1 }, fail: { count: 1 } },
        },
      ],
    });
    const all = await call(ground.app, "GET", "/v2/models/stats");
    expect((all.body as { model_stats: { name: string }[] }).model_stats.map(({ name }) => name)).toContain(
      "counted",
    );
  });
});

import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runtimeLimits } from "../../../../models/serving/repository/runtime-limits.ts";
import { encodeModel, type ModelProto } from "../../../../shared/onnx/index.ts";
import { call } from "../../../support/application.ts";
import { type ServingGround, servingGround } from "../ground.ts";
import * as foreign from "./foreign-models.ts";

let ground: ServingGround;
beforeAll(async () => {
  ground = await servingGround();
});
afterAll(() => ground.close());

let count = 0;
/** Registers a model under a name of its own. */
async function served(model: ModelProto): Promise<string> {
  const name = `foreign-${count++}`;
  await ground.models.register(name, { "model.onnx": model });
  return name;
}

type Output = { readonly name: string; readonly data: unknown; readonly shape: readonly number[] };
const input = (name: string, datatype: string, shape: readonly number[], data: unknown) => ({
  name,
  datatype,
  shape,
  data,
});
const infer = async (name: string, inputs: readonly unknown[], outputs?: readonly string[]) => {
  const answer = await call(ground.app, "POST", `/v2/models/${name}/infer`, {
    inputs,
    ...(outputs === undefined ? {} : { outputs: outputs.map((name) => ({ name })) }),
  });
  const body = answer.body as { outputs?: readonly Output[]; error?: string };
  return { status: answer.status, error: body.error ?? "", outputs: body.outputs ?? [] };
};
const metadata = async (name: string) =>
  (await call(ground.app, "GET", `/v2/models/${name}`)).body as Record<string, unknown>;
const numbers = [input("X", "FP32", [2], [1, 2])];

describe("a text pipeline whose locale is not on this machine", () => {
  const text = [input("X", "BYTES", [2], ["ABC Éß", "ŻÓŁĆ"])];
  const locales = [undefined, "", "en_US", "en_US.UTF-8", "en_US.utf8", "de_DE", "de_DE@euro", "tr_TR.UTF-8"];
  it.each([...locales, "nonsense", "C.UTF-8"])("is served: locale %j", async (locale) => {
    const { outputs, error } = await infer(await served(foreign.lowerCaseModel(locale)), text);
    expect(error).toBe("");
    expect(outputs[0]?.data).toEqual(["abc éß", "żółć"]);
  });

  it("keeps a locale that is there, which knows no letters but those of English", async () => {
    for (const locale of ["C", "POSIX"]) {
      const { outputs } = await infer(await served(foreign.lowerCaseModel(locale)), text);
      expect(outputs[0]?.data).toEqual(["abc Éß", "ŻÓŁĆ"]);
    }
  });

  it.each([
    ["a graph inside", foreign.lowerCaseBranches()],
    ["a function of the model, by its caller's word", foreign.lowerCaseFunction()],
  ])("is served when it stands in %s", async (_, model) => {
    const { outputs, error } = await infer(await served(model), text);
    expect(error).toBe("");
    expect(outputs[0]?.data).toEqual(["abc éß", "żółć"]);
  });
});

describe("dimensions with a name", () => {
  const matrices = [input("A", "FP32", [1, 2], [1, 2]), input("B", "FP32", [2, 3], [1, 0, 1, 0, 1, 1])];
  const unknown = [
    "",
    "?",
    "None",
    "none",
    "unk__17",
    "-1",
    "*",
    "unknown",
    "DynamicDimension.0",
    "?_1",
    "null",
    " ",
  ];
  it.each(unknown)("may have any size where an exporter knew nothing: %j", async (name) => {
    const { outputs, error } = await infer(await served(foreign.namedSizesModel(name)), matrices);
    expect(error).toBe("");
    expect(outputs[0]).toMatchObject({ shape: [1, 3], data: [1, 2, 3] });
  });

  it.each(["N", "batch", "sequence_length", "批次", "größe", "any_size", "Nonesuch"])(
    "have one size each: %j",
    async (name) => {
      const { status, error } = await infer(await served(foreign.namedSizesModel(name)), matrices);
      expect(status).toBe(400);
      expect(error).toContain("they must be equal");
    },
  );
});

describe("inputs with a value of their own", () => {
  const row = input("X", "FP32", [2, 1], [1, 2]);
  const scale = input("scale", "FP32", [], [3]);
  const shift = input("shift", "FP32", [1], [100]);

  it("may be left out or given, each by itself", async () => {
    const name = await served(foreign.defaultsModel());
    const answers = [];
    for (const inputs of [[row], [row, scale], [row, shift], [shift, scale, row], [row]]) {
      const { outputs, error } = await infer(name, inputs);
      answers.push(outputs[0]?.data ?? error);
    }
    expect(answers).toEqual([
      [12, 14],
      [13, 16],
      [102, 104],
      [103, 106],
      [12, 14],
    ]);
    for (let request = 0; request < 8; request++) {
      expect((await infer(name, [row, scale])).outputs[0]?.data).toEqual([13, 16]);
    }
  });

  it("are listed as optional, and checked like the others", async () => {
    const name = await served(foreign.defaultsModel());
    expect((await metadata(name)).inputs).toEqual([
      { name: "X", datatype: "FP32", shape: [-1, 1] },
      { name: "scale", datatype: "FP32", shape: [], parameters: { optional: true } },
      { name: "shift", datatype: "FP32", shape: [1], parameters: { optional: true } },
    ]);
    const wrong = await infer(name, [row, input("shift", "INT64", [1], [1])]);
    expect(wrong).toMatchObject({ status: 400, error: expect.stringContaining('Input "shift" is INT64') });
    const missing = await infer(name, [shift]);
    expect(missing.error).toContain('Input "X" missing');
    expect(missing.error).toContain('"shift" (FP32 [1], optional)');
  });

  it("may be left out of tables too", async () => {
    const name = await served(foreign.defaultsModel());
    const answer = await call(ground.app, "POST", `/serving/${name}/invocations`, {
      dataframe_split: { columns: ["X"], data: [[1], [2]] },
    });
    expect(answer.body).toEqual({ predictions: [{ Y: 12 }, { Y: 14 }] });
  });

  it("are weights where the format knows no defaults, and where there are many", async () => {
    for (const model of [
      { ...foreign.defaultsModel(3), opsetImport: foreign.versionedModel(3, 9).opsetImport },
      foreign.listedWeightsModel(20),
    ]) {
      const name = await served(model);
      expect((await infer(name, [row])).outputs[0]?.shape).toEqual([2, 1]);
      expect((await metadata(name)).inputs).toHaveLength(1);
    }
  });
});

describe("an output of a kind that cannot be answered", () => {
  const names =
    "bfloat16 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 float4e2m1 complex64 complex128";
  const numbersOf = [16, 17, 18, 19, 20, 21, 22, 23, 14, 15];
  it.each(names.split(" ").map((name, index) => [name, numbersOf[index] ?? 0] as const))(
    "is listed and leaves the others to be asked for: %s",
    async (type, code) => {
      for (const model of [foreign.castModel(code), foreign.otherInputModel(code)]) {
        const name = await served(model);
        expect(await infer(name, numbers)).toMatchObject({
          status: 200,
          outputs: [{ name: "Y", data: [1, 2] }],
        });
        const listed = await metadata(name);
        expect(listed.outputs).toEqual([{ name: "Y", datatype: "FP32", shape: [-1] }]);
        expect(listed.unserved_outputs).toContainEqual({ name: "Z", type: `tensor(${type})` });
        const asked = await infer(name, numbers, ["Z"]);
        expect(asked).toMatchObject({ status: 400, error: expect.stringContaining(`tensor(${type})`) });
      }
    },
  );

  it.each([
    ["seq(tensor(float))", "S", foreign.sequenceModel()],
    ["optional(tensor(float))", "O", foreign.optionalModel()],
  ])("is listed: %s", async (type, output, model) => {
    const name = await served(model);
    expect((await infer(name, numbers)).outputs).toMatchObject([{ name: "Y", data: [1, 2] }]);
    expect((await metadata(name)).unserved_outputs).toEqual([{ name: output, type }]);
  });

  it("is the reason in words where there is no other", async () => {
    const { status, error } = await infer(await served(foreign.sequenceOnlyModel()), numbers);
    expect(status).toBe(400);
    expect(error).toContain('None of its outputs can be answered: "S" is seq(tensor(float))');
  });
});

describe("an input of a kind that cannot be sent", () => {
  it.each([
    ["tensor(bfloat16)", foreign.neededInputModel(16)],
    ["tensor(float8e5m2)", foreign.neededInputModel(19)],
    ["map(int64,tensor(float))", foreign.mapInputModel()],
  ])("is refused by its name and type where an output needs it: %s", async (type, model) => {
    const { status, error } = await infer(await served(model), numbers);
    expect(status).toBe(400);
    expect(error).toMatch(/Its input "[BM]" is /);
    expect(error).toContain(type);
  });
});

describe("a model that the runtime does not read", () => {
  it.each([
    [
      "a newer format",
      foreign.versionedModel(14, 17),
      /^.{0,80}IR version 14, and the runtime here, ONNX Runtime \d+\.\d+, reads versions up to 13/,
    ],
    ["newer operators", foreign.versionedModel(8, 27), /version 27 of the operators ai\.onnx, .* up to 26/],
    [
      "newer operators of learning",
      foreign.versionedModel(8, 17, 6),
      /version 6 of the operators ai\.onnx\.ml, .* up to 5/,
    ],
    ["an operator that there is not", foreign.unknownOperatorModel(""), /No Op registered for Nothing/],
    [
      "an operator that Microsoft has not",
      foreign.unknownOperatorModel("com.microsoft"),
      /com\.microsoft:Nothing/,
    ],
    [
      "an operator of somebody",
      foreign.unknownOperatorModel("somebody"),
      /custom operator somebody\.Nothing/,
    ],
    ["a short initializer", foreign.shortInitializerModel(), /Initializer 'B'.*3 bytes/],
    ["a function that calls itself", foreign.functionsModel(1, 1, "F0"), /function own\.F0 calls itself/],
    ["functions that call each other", foreign.functionsModel(3, 1, "F2"), /function own\.F\d calls itself/],
    ["functions two hundred deep", foreign.functionsModel(200, 1), /levels deep/],
  ])("is refused in words, without places of the server: %s", async (_, model, words) => {
    const { status, error } = await infer(await served(model), numbers);
    expect(status).toBe(400);
    expect(error).toMatch(words);
    for (const place of [ground.directory, "/onnxruntime_src", ".cc:", "/tmp/", "model-files"]) {
      expect(error).not.toContain(place);
    }
  });

  it("is refused where its functions would become a thousand million nodes", async () => {
    const { status, error } = await infer(await served(foreign.functionsModel(31, 2)), numbers);
    expect(status).toBe(400);
    expect(error).toContain("nodes once its functions are written out");
    expect((await infer(await served(foreign.functionsModel(5, 2)), numbers)).outputs[0]?.data).toEqual([
      1, 2,
    ]);
  });

  it("says nothing of the server when it fails on values either", async () => {
    const name = await served(foreign.namedSizesModel("?"));
    const { status, error } = await infer(name, [
      input("A", "FP32", [1, 2], [1, 2]),
      input("B", "FP32", [3, 1], [1, 2, 3]),
    ]);
    expect(status).toBe(400);
    expect(error).toContain("The model refused these inputs");
    expect(error).not.toMatch(/onnxruntime_src|\.(cc|h):\d/);
  });
});

describe("the limits of the runtime", () => {
  const loads = (model: ModelProto) =>
    ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 }).then(
      () => true,
      () => false,
    );
  it("are what it reads, and no more", async () => {
    const { irVersion, opsets } = runtimeLimits;
    const standard = opsets.get("") ?? 0;
    const ml = opsets.get("ai.onnx.ml") ?? 0;
    expect(await loads(foreign.versionedModel(irVersion, standard, ml))).toBe(true);
    expect(await loads(foreign.versionedModel(irVersion + 1, standard, ml))).toBe(false);
    expect(await loads(foreign.versionedModel(irVersion, standard + 1, ml))).toBe(false);
    expect(await loads(foreign.versionedModel(irVersion, standard, ml + 1))).toBe(false);
  });
});

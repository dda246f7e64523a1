import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import {
  buildModel,
  bytesSource,
  elementTypeCode,
  encodeModel,
  type ModelProto,
  mlDomain,
  modelExternalData,
  modelOperators,
  node,
  readModel,
  tensor,
  tensorInfo,
} from "../../../shared/onnx/index.ts";

const read = (model: ModelProto) => readModel(bytesSource(encodeModel(model)));

/** y = 2 * x + code(level) */
function smallModel() {
  return buildModel({
    name: "small",
    producerVersion: "1",
    description: "two inputs",
    inputs: [tensorInfo("x", "float32", ["N", 1]), tensorInfo("level", "string", ["N", 1])],
    outputs: [tensorInfo("y", "float32", ["N", 1])],
    nodes: [
      node(
        "LabelEncoder",
        ["level"],
        ["code"],
        {
          keys_strings: { texts: ["a", "ü"] },
          values_int64s: { ints: [1, 2n] },
          default_int64: { int: -1 },
        },
        mlDomain,
      ),
      node("Cast", ["code"], ["code.float"], { to: { int: elementTypeCode("float32") } }),
      node("Mul", ["x", "two"], ["doubled"]),
      node("Add", ["doubled", "code.float"], ["y"]),
    ],
    initializers: [tensor("two", Float32Array.of(2))],
    metadata: { task: "test" },
  });
}

describe("an ONNX model built from parts", () => {
  it("runs in ONNX Runtime with the types, names and attributes it was given", async () => {
    const session = await ort.InferenceSession.create(encodeModel(smallModel()), { intraOpNumThreads: 1 });
    expect(
      session.inputMetadata.map((input) => (input.isTensor ? [input.name, input.type, input.shape] : [])),
    ).toEqual([
      ["x", "float32", ["N", 1]],
      ["level", "string", ["N", 1]],
    ]);
    const { y } = await session.run({
      x: new ort.Tensor("float32", Float32Array.of(1, 2, 3), [3, 1]),
      level: new ort.Tensor("string", ["a", "ü", "?"], [3, 1]),
    });
    expect(Array.from(y?.data as Float32Array)).toEqual([3, 6, 5]);
  });

  it("keeps zero, empty and scalar values apart from missing ones", () => {
    const { graph } = read(
      buildModel({
        name: "zeros",
        producerVersion: "1",
        inputs: [],
        outputs: [],
        nodes: [node("X", [], ["out"], { zero: { int: 0 }, nothing: { floats: [] }, empty: { text: "" } })],
        initializers: [tensor("scalar", Float64Array.of(0), [])],
      }),
    );
    expect(
      graph.nodes[0]?.attributes.map(({ name, int, text, floatCount }) => [name, int, text, floatCount]),
    ).toEqual([
      ["zero", 0, "", 0],
      ["nothing", 0, "", 0],
      ["empty", 0, "", 0],
    ]);
    expect(graph.initializers[0]).toMatchObject({ dims: [], dataBytes: 8, dataType: 11 });
  });

  it("is the same bytes each time", () => {
    expect(encodeModel(smallModel())).toEqual(encodeModel(smallModel()));
  });

  it("refuses a tensor whose values do not fill its shape", () => {
    expect(() => tensor("w", Float32Array.of(1, 2, 3), [2, 2])).toThrow('Tensor "w": 3 values do not fill');
  });
});

describe("an ONNX model read from bytes", () => {
  it("tells what it is made of", () => {
    const { irVersion, producer, opsets, metadata, graph } = read(smallModel());
    expect({ irVersion, producer, opsets: [...opsets], metadata: [...metadata] }).toEqual({
      irVersion: 8,
      producer: "ketline 1",
      opsets: [
        ["", 17],
        ["ai.onnx.ml", 3],
      ],
      metadata: [["task", "test"]],
    });
    expect(graph.inputs.map(({ name, type }) => [name, type])).toEqual([
      ["x", { kind: "tensor", elementType: 1, shape: ["N", 1] }],
      ["level", { kind: "tensor", elementType: 8, shape: ["N", 1] }],
    ]);
    expect(graph.nodes[0]).toMatchObject({
      operator: "LabelEncoder",
      domain: "ai.onnx.ml",
      inputs: ["level"],
      outputs: ["code"],
      attributes: [
        { name: "keys_strings", textCount: 2 },
        { name: "values_int64s", intCount: 2, ints: [1, 2] },
        { name: "default_int64", int: -1 },
      ],
    });
  });

  it("lists its operators with domain and count", () => {
    expect(modelOperators(read(smallModel()))).toEqual([
      { domain: "", operator: "Add", count: 1 },
      { domain: "", operator: "Cast", count: 1 },
      { domain: "", operator: "Mul", count: 1 },
      { domain: "ai.onnx.ml", operator: "LabelEncoder", count: 1 },
    ]);
  });

  it("finds operators and outside data inside the graphs of its attributes", () => {
    const model = smallModel();
    const inner = buildModel({
      name: "inner",
      producerVersion: "1",
      inputs: [],
      outputs: [],
      nodes: [node("Custom", [], ["z"], {}, "evil.domain")],
      initializers: [tensor("weights", Float32Array.of(1))],
    }).graph!;
    inner.initializer[0]!.dataLocation = 1;
    inner.initializer[0]!.externalData = [
      { $typeName: "onnx.StringStringEntryProto", key: "location", value: "../secret" },
      { $typeName: "onnx.StringStringEntryProto", key: "offset", value: "16" },
    ];
    const branch = node("If", ["x"], ["b"], { then_branch: { int: 0 } });
    branch.attribute[0]!.g = inner;
    model.graph!.node.push(branch);
    expect(modelOperators(read(model))).toContainEqual({
      domain: "evil.domain",
      operator: "Custom",
      count: 1,
    });
    expect(modelExternalData(read(model))).toEqual([
      { tensor: "weights", location: "../secret", offset: 16 },
    ]);
  });

  it.each([
    ["nothing", new Uint8Array(0)],
    ["text", new TextEncoder().encode("this is not a model at all")],
    ["a truncated model", encodeModel(smallModel()).slice(0, 40)],
    ["random bytes", Uint8Array.from({ length: 400 }, (_, i) => (i * 7919 + 13) % 251)],
  ])("refuses %s as the caller's mistake", (_, bytes) => {
    expect(() => readModel(bytesSource(bytes))).toThrow(expect.objectContaining({ kind: "invalid" }));
  });

  it("refuses a file past the limit before it parses it", () => {
    const bytes = encodeModel(smallModel());
    expect(() => readModel(bytesSource(bytes), { maxBytes: bytes.byteLength - 1 })).toThrow(
      expect.objectContaining({ kind: "too_large" }),
    );
    expect(readModel(bytesSource(bytes), { maxBytes: bytes.byteLength }).graph.name).toBe("small");
  });
});

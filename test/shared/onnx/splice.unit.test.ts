import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  appended,
  attributeIntegers,
  attributeTexts,
  buildModel,
  bytesSource,
  type Edit,
  encodeModel,
  fieldBytes,
  fileSource,
  graphTags,
  modelTags,
  node,
  nodeTags,
  numberBytes,
  type OnnxModel,
  opsetTags,
  readModel,
  removed,
  replaced,
  spliced,
  tensor,
  tensorElements,
  tensorInfo,
} from "../../../shared/onnx/index.ts";
import { ModelProtoSchema } from "../../../shared/onnx/schema/onnx_pb.js";

/** Lists that reach over several of the pieces in which a file is read. */
function largeModel(count: number) {
  return buildModel({
    name: "large",
    producerVersion: "1",
    inputs: [tensorInfo("x", "float32", ["N", 1])],
    outputs: [tensorInfo("y", "float32", ["N", 1])],
    nodes: [
      node("Big", ["x"], ["h"], {
        ints: { ints: Array.from({ length: count }, (_, index) => index - 2) },
        floats: { floats: Array.from({ length: count }, (_, index) => index / 2) },
        texts: {
          texts: Array.from(
            { length: count },
            (_, index) => `t${index % 300 === 0 ? "x".repeat(200) : index}`,
          ),
        },
        last: { int: -7 },
      }),
      node("Small", ["h"], ["y"], { alpha: { float: 0.5 } }),
    ],
    initializers: [tensor("w", new Float64Array(count)), tensor("axes", BigInt64Array.of(-1n, 3n))],
    metadata: { key: "value" },
  });
}

const edited = (bytes: Uint8Array, edits: (model: OnnxModel) => readonly Edit[]) => {
  const source = bytesSource(bytes);
  return Buffer.concat([...spliced(source, edits(readModel(source)))]);
};
const decoded = (bytes: Uint8Array) => fromBinary(ModelProtoSchema, bytes);

describe("a model of long lists", () => {
  it("is read from a file as from memory, its lists counted", () => {
    const directory = mkdtempSync(path.join(tmpdir(), "ketline-onnx-"));
    const file = path.join(directory, "model.onnx");
    const bytes = encodeModel(largeModel(100_000));
    writeFileSync(file, bytes);
    const opened = openSync(file, "r");
    try {
      const source = fileSource(opened);
      const model = readModel(source);
      expect(model).toEqual(readModel(bytesSource(bytes)));
      const [ints, floats, texts, last] = model.graph.nodes[0]?.attributes ?? [];
      expect(ints).toMatchObject({ name: "ints", intCount: 100_000 });
      expect(ints?.ints).toEqual(Array.from({ length: 64 }, (_, index) => index - 2));
      expect(floats).toMatchObject({ name: "floats", floatCount: 100_000 });
      expect(texts).toMatchObject({ name: "texts", textCount: 100_000 });
      expect(last).toMatchObject({ name: "last", int: -7 });
      expect(model.graph.initializers).toMatchObject([
        { name: "w", dims: [100_000], dataBytes: 800_000, integers: undefined },
        { name: "axes", dims: [2], dataBytes: 16, integers: [-1, 3] },
      ]);
      expect(attributeIntegers(source, ints!).slice(-1)).toEqual([99_997n]);
      expect(attributeTexts(source, texts!).slice(299, 302)).toEqual(["t299", `t${"x".repeat(200)}`, "t301"]);
      expect(tensorElements(source, model.graph.initializers[1]!)).toEqual({
        kind: "bytes",
        bytes: Buffer.from(BigInt64Array.of(-1n, 3n).buffer),
      });
      expect(Buffer.concat([...spliced(source, [])]).equals(bytes)).toBe(true);
    } finally {
      closeSync(opened);
      rmSync(directory, { recursive: true });
    }
  });

  it("is read alike where its lists are packed, as other writers do", () => {
    const list = (tag: number, bytes: Uint8Array) => fieldBytes(nodeTags.attribute, fieldBytes(tag, bytes));
    const packed = Buffer.from(Array.from({ length: 300 }, (_, index) => [0x80 + (index % 128), 1]).flat());
    const graph = fieldBytes(
      graphTags.node,
      list(8 * 8 + 2, packed),
      list(7 * 8 + 2, new Uint8Array(4 * 77)),
    );
    const source = bytesSource(
      Buffer.concat([numberBytes(modelTags.irVersion, 8), fieldBytes(modelTags.graph, graph)]),
    );
    const [ints, floats] = readModel(source).graph.nodes[0]?.attributes ?? [];
    expect(ints).toMatchObject({ intCount: 300 });
    expect(ints?.ints.slice(0, 3)).toEqual([128, 129, 130]);
    expect(attributeIntegers(source, ints!)).toHaveLength(300);
    expect(floats).toMatchObject({ floatCount: 77 });
  });
});

describe("changes of a model where its bytes lie", () => {
  it.each([0, 1, 20, 200, 40_000])(
    "replace a node, and leave all else as it was (a name of %i letters)",
    (letters) => {
      const name = "n".repeat(letters);
      const model = largeModel(50);
      const bytes = edited(encodeModel(model), ({ graph }) => [
        replaced(graph.nodes[1]!.span, fieldBytes(graphTags.node, fieldBytes(nodeTags.name, name))),
      ]);
      const expected = largeModel(50);
      expected.graph!.node[1] = { $typeName: "onnx.NodeProto", name } as never;
      const changed = decoded(bytes);
      expect(changed.graph?.node[1]?.name).toBe(name);
      expect(changed.graph?.node).toHaveLength(2);
      changed.graph!.node[1] = decoded(encodeModel(model)).graph!.node[1]!;
      expect(toBinary(ModelProtoSchema, changed)).toEqual(encodeModel(model));
    },
  );

  it("are made at several depths and places at once", () => {
    const bytes = edited(encodeModel(largeModel(50)), (model) => [
      removed(model.graph.nodes[0]!.attributes[1]!.span),
      removed(model.graph.initializers[0]!.span),
      appended(model.graph.nodes[0]!.span, fieldBytes(nodeTags.attribute, fieldBytes(10, "added"))),
      appended(model.graph.span, fieldBytes(graphTags.node, fieldBytes(nodeTags.opType, "Third"))),
      appended(model.span, fieldBytes(modelTags.opsetImport, numberBytes(opsetTags.version, 300))),
    ]);
    const { graph, opsetImport, metadataProps } = decoded(bytes);
    expect(graph?.node.map(({ opType }) => opType)).toEqual(["Big", "Small", "Third"]);
    expect(graph?.node[0]?.attribute.map(({ name }) => name)).toEqual(["ints", "texts", "last", "added"]);
    expect(graph?.initializer.map(({ name }) => name)).toEqual(["axes"]);
    expect(graph?.output).toHaveLength(1);
    expect(opsetImport.map(({ version }) => version)).toEqual([17n, 300n]);
    expect(metadataProps).toHaveLength(1);
  });

  it("reach into graphs inside graphs", () => {
    const inside = largeModel(3).graph!;
    const model = largeModel(3);
    const branch = node("If", ["x"], ["b"], { then_branch: { int: 0 } });
    branch.attribute[0]!.g = inside;
    model.graph!.node.push(branch);
    const bytes = edited(encodeModel(model), ({ graph }) => {
      const inner = graph.nodes[2]!.attributes[0]!.graphs[0]!;
      return [appended(inner.nodes[1]!.span, fieldBytes(nodeTags.input, "z".repeat(130)))];
    });
    const found = decoded(bytes).graph?.node[2]?.attribute[0]?.g?.node[1];
    expect(found?.input).toEqual(["h", "z".repeat(130)]);
  });

  it("must not overlap", () => {
    expect(() =>
      edited(encodeModel(largeModel(3)), ({ graph }) => [
        removed(graph.nodes[0]!.span),
        removed(graph.nodes[0]!.attributes[0]!.span),
      ]),
    ).toThrow("overlap");
  });
});

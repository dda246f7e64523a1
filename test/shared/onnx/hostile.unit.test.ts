import { describe, expect, it } from "vitest";
import { isKetlineError } from "../../../shared/errors.ts";
import {
  buildModel,
  bytesSource,
  encodeModel,
  fieldBytes,
  node,
  numberBytes,
  readModel,
  tensor,
  tensorInfo,
} from "../../../shared/onnx/index.ts";

const read = (bytes: Uint8Array) => readModel(bytesSource(bytes));
const bytes = (...parts: readonly (Uint8Array | readonly number[])[]) =>
  Buffer.concat(parts.map((part) => Uint8Array.from(part)));

const irVersion = numberBytes(1 * 8, 8);
const graphTag = 7 * 8 + 2;
const nodeTag = 1 * 8 + 2;
const attributeTag = 5 * 8 + 2;
const inner = 6 * 8 + 2;
const ff = (count: number) => new Array<number>(count).fill(0xff);

/** A graph in an attribute of a node in a graph, and so on. */
function nested(levels: number): Uint8Array {
  let graph: Uint8Array = new Uint8Array(0);
  for (let level = 0; level < levels; level++) {
    graph = fieldBytes(nodeTag, fieldBytes(attributeTag, fieldBytes(inner, graph)));
  }
  return fieldBytes(graphTag, graph);
}

/** The same without building each level of it: only heads, whose lengths say that everything else lies inside. */
function manyHeads(levels: number): Uint8Array {
  const heads: number[] = [];
  for (let level = 0; level < levels; level++)
    heads.push(nodeTag, ...sized, attributeTag, ...sized, inner, ...sized);
  return bytes(irVersion, [graphTag, ...sized], heads);
}
/** 2^28 - 1, written in four bytes. */
const sized = [0xff, 0xff, 0xff, 0x7f];

describe("a file built to harm its reader", () => {
  it.each([
    ["a length beyond the end", bytes(irVersion, [graphTag, 100, 1, 2, 3])],
    ["a length of 2^63", bytes(irVersion, [graphTag, ...new Array(8).fill(0x80), 0x80, 0x01])],
    ["a length of 2^64 - 1", bytes(irVersion, [graphTag, ...ff(9), 0x01])],
    ["a number of eleven bytes", bytes([8, ...ff(10), 0x01])],
    ["a tag of six bytes", bytes(irVersion, [0xba, 0x80, 0x80, 0x80, 0x80, 0x00, 0x00])],
    ["a number without its end", bytes(irVersion, [8, 0x80])],
    ["a field without a number", bytes(irVersion, [0x02, 0x00])],
    ["a group", bytes(irVersion, [graphTag, 0], [3 * 8 + 3, 3 * 8 + 4])],
    ["100,000 groups in each other", bytes(irVersion, new Array(100_000).fill(9 * 8 + 3))],
    ["the end of a group alone", bytes(irVersion, [graphTag, 0], [9 * 8 + 4])],
    ["wire types that there are none of", bytes(irVersion, [graphTag, 2, 9 * 8 + 6, 9 * 8 + 7])],
    ["a fixed number without its end", bytes(irVersion, [graphTag, 3, 9 * 8 + 1, 1, 2])],
    [
      "an inner message longer than the outer",
      bytes(irVersion, fieldBytes(graphTag, bytes([nodeTag, 9, 0])), new Uint8Array(20)),
    ],
    [
      "a list that ends within a number",
      bytes(
        irVersion,
        fieldBytes(graphTag, fieldBytes(nodeTag, fieldBytes(attributeTag, bytes([8 * 8 + 2, 2, 1, 0x80])))),
      ),
    ],
    ["graphs nested 34 times", bytes(irVersion, nested(34))],
    ["graphs nested 100,000 times", manyHeads(100_000)],
  ])("is refused as invalid: %s", (_, file) => {
    expect(() => read(file)).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringContaining("not an ONNX model") }),
    );
  });

  it("may be nested as deep as ONNX Runtime reads it", () => {
    expect(read(bytes(irVersion, nested(33))).graph.nodes).toHaveLength(1);
  });

  it.each([
    [
      "nodes",
      fieldBytes(
        graphTag,
        new Uint8Array(2_000_000).map((_, i) => (i % 2 === 0 ? nodeTag : 0)),
      ),
    ],
    [
      "names",
      fieldBytes(
        graphTag,
        fieldBytes(
          nodeTag,
          new Uint8Array(9_000_000).map((_, i) => (i % 2 === 0 ? 10 : 0)),
        ),
      ),
    ],
    [
      "a name of 200 MB",
      fieldBytes(graphTag, fieldBytes(nodeTag, fieldBytes(10, new Uint8Array(200_000_000)))),
    ],
    ["dimensions", fieldBytes(graphTag, fieldBytes(5 * 8 + 2, fieldBytes(10, new Uint8Array(5_000_000))))],
  ])("is refused as too large before it fills the memory: %s", (_, graph) => {
    expect(() => read(bytes(irVersion, graph))).toThrow(expect.objectContaining({ kind: "too_large" }));
  });

  it("hides no node in a graph that is written in two parts, which the runtime reads as one", () => {
    const part = (operator: string) =>
      fieldBytes(graphTag, fieldBytes(nodeTag, fieldBytes(4 * 8 + 2, operator)));
    const { graph } = read(bytes(irVersion, part("Relu"), part("Loop")));
    expect(graph.nodes.map(({ operator }) => operator)).toEqual(["Relu", "Loop"]);
  });

  it("hides no element type above 32 bits, which the runtime drops", () => {
    const type = fieldBytes(2 * 8 + 2, fieldBytes(1 * 8 + 2, numberBytes(8, 2 ** 32 + 1)));
    const { graph } = read(bytes(irVersion, fieldBytes(graphTag, fieldBytes(11 * 8 + 2, type))));
    expect(graph.inputs[0]?.type).toEqual({ kind: "tensor", elementType: 1, shape: null });
  });

  it("ends in a model or in a clear error, whichever of its bytes are changed", () => {
    const valid = encodeModel(
      buildModel({
        name: "small",
        producerVersion: "1",
        inputs: [tensorInfo("x", "float32", ["N", 3])],
        outputs: [tensorInfo("y", "string", ["N"])],
        nodes: [
          node("A", ["x"], ["y"], {
            a: { ints: [1, -2] },
            b: { texts: ["c", "d"] },
            e: { tensor: tensor("t", BigInt64Array.of(1n)) },
          }),
        ],
        initializers: [tensor("w", ["a", "b"])],
        metadata: { key: "value" },
      }),
    );
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    let refused = 0;
    for (let round = 0; round < 20_000; round++) {
      const changed = Uint8Array.from(valid);
      for (let change = 0; change <= random(4); change++) changed[random(changed.length)] = random(256);
      const cut = random(3) === 0 ? changed.subarray(0, random(changed.length)) : changed;
      try {
        read(cut);
      } catch (error) {
        if (!isKetlineError(error)) throw new Error(`round ${round}: ${String(error)}`, { cause: error });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});

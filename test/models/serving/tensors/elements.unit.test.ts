import { describe, expect, it } from "vitest";
import { bytesOfTensor, tensorFromBytes } from "../../../../models/serving/protocols/binary-tensors.ts";
import { flatJson, nestedJson } from "../../../../models/serving/tensors/element-text.ts";
import {
  elementsFromJson,
  InexactInteger,
  tensorFromJson,
} from "../../../../models/serving/tensors/elements.ts";
import { parseExactJson } from "../../../../models/serving/tensors/exact-json.ts";
import {
  type Datatype,
  datatypes,
  elementType,
  type Tensor,
} from "../../../../models/serving/tensors/tensors.ts";
import { fromHalves, toHalves } from "../../../../shared/half.ts";

describe("binary16", () => {
  it("comes back from every bit pattern that is a number", () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i).filter(
      (bits) => (bits & 0x7c00) !== 0x7c00 || (bits & 0x3ff) === 0,
    );
    expect(toHalves(fromHalves(all))).toEqual(all);
  });

  it.each([
    [1, 0x3c00],
    [-2, 0xc000],
    [65_504, 0x7bff],
    [65_519, 0x7bff],
    [65_520, 0x7c00],
    [2 ** -24, 1],
    [2 ** -25, 0],
    [1.5 * 2 ** -25, 1],
    [2 ** -26, 0],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [-0, 0x8000],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    [1e-300, 0],
  ])("rounds %d to nearest, ties to even", (value, bits) => {
    expect(toHalves(Float32Array.of(value))[0]).toBe(bits);
  });

  it("keeps NaN", () => {
    expect(fromHalves(toHalves(Float32Array.of(Number.NaN)))[0]).toBeNaN();
  });
});

describe("JSON as Python writes it", () => {
  it("has NaN, infinities and integers of any size", () => {
    expect(
      parseExactJson(' {"a": [NaN, -Infinity, 12345678901234567890, -0.5e3], "b": {"__proto__": 1}} '),
    ).toEqual({
      a: [Number.NaN, Number.NEGATIVE_INFINITY, 12345678901234567890n, -500],
      b: JSON.parse('{"__proto__": 1}'),
    });
  });

  it("agrees with JSON.parse on what both can read", () => {
    const texts = [
      "[]",
      "{}",
      '"\\u00e9\\n"',
      "[1,2.5,-3e-7,true,false,null]",
      '{"a":{"b":[{}]},"a":2}',
      " 0 ",
    ];
    for (const text of texts) expect(parseExactJson(text)).toEqual(JSON.parse(text));
  });

  it.each([
    "",
    "[1,]",
    "{a:1}",
    "[01]",
    "[1 2]",
    '{"a" 1}',
    "[+1]",
    "[.5]",
    "[1.]",
    '["\n"]',
    '["\\x"]',
    '"open',
    "[nan]",
    "[1]]",
    "NaNa",
    "[".repeat(66) + "]".repeat(66),
  ])("refuses %j with the position", (text) => {
    expect(() => parseExactJson(text)).toThrow(/at position \d+/);
  });

  it("reads long strings without running out of stack", () => {
    const text = `"${'\\"x'.repeat(1_000_000)}"`;
    expect(parseExactJson(text)).toHaveLength(2_000_000);
  });
});

describe("elements", () => {
  const read = (datatype: Datatype, values: unknown[]) => [...elementsFromJson(datatype, values, "Input")];

  it.each<[Datatype, unknown[], unknown[]]>([
    ["INT8", [-128, 127], [-128, 127]],
    ["UINT8", [0, 255], [0, 255]],
    ["UINT32", [4294967295], [4294967295]],
    ["INT64", [1, "-5", 2n ** 63n - 1n], [1n, -5n, 2n ** 63n - 1n]],
    ["UINT64", [2n ** 64n - 1n], [2n ** 64n - 1n]],
    ["BOOL", [true, 0], [1, 0]],
    ["FP64", [1.5, null, 3n], [1.5, Number.NaN, 3]],
    ["FP16", [1], [0x3c00]],
  ])("of %s take what fits", (datatype, values, expected) => {
    expect(read(datatype, values)).toEqual(expected);
  });

  it.each<[Datatype, unknown]>([
    ["INT8", 128],
    ["UINT8", -1],
    ["UINT16", 1.5],
    ["INT32", Number.NaN],
    ["INT32", null],
    ["INT64", 2n ** 63n],
    ["UINT64", -1],
    ["INT64", "12x"],
    ["FP32", "1"],
    ["FP32", true],
    ["FP32", [1]],
    ["BYTES", 1],
    ["BYTES", null],
    ["BOOL", "true"],
  ])("of %s refuse %s", (datatype, value) => {
    expect(() => read(datatype, [value])).toThrow(/element 0 is/);
  });

  it("ask for the exact text when an integer may have lost digits", () => {
    expect(() => read("INT64", [2 ** 53])).toThrow(InexactInteger);
  });

  it("nest by the shape when written, and flatten when read", () => {
    const tensor = tensorFromJson("FP32", [2, 1, 2], [[[1, 2]], [[3, 4]]], "Input");
    expect(nestedJson(tensor)).toBe("[[[1,2]],[[3,4]]]");
    expect(flatJson(tensor)).toBe("[1,2,3,4]");
    expect(nestedJson({ ...tensor, shape: [0, 2], data: new Float32Array() })).toBe("[]");
    expect(nestedJson({ ...tensor, shape: [2, 0], data: new Float32Array() })).toBe("[[],[]]");
    expect(nestedJson({ datatype: "INT64", shape: [], data: BigInt64Array.of(-(2n ** 63n)) })).toBe(
      "-9223372036854775808",
    );
  });

  it("of every datatype come back from bytes and from JSON", () => {
    for (const datatype of datatypes) {
      const data = datatype === "BYTES" ? ["", "é", "\u0000"] : elementType(datatype).create(3);
      if (datatype !== "BYTES")
        (data as Uint8Array)[1] = (datatype.endsWith("64") && datatype !== "FP64" ? 1n : 1) as number;
      const tensor: Tensor = { datatype, shape: [3, 1], data };
      const bytes = bytesOfTensor(tensor);
      for (let offset = 0; offset < 8; offset++) {
        const within = new Uint8Array(offset + bytes.byteLength + 3).fill(0xff);
        within.set(bytes, offset);
        const part = within.subarray(offset, offset + bytes.byteLength);
        expect(tensorFromBytes(datatype, [3, 1], part, `Input at ${offset}`)).toEqual(tensor);
      }
      expect(tensorFromJson(datatype, [3, 1], JSON.parse(flatJson(tensor)), "Input")).toEqual(tensor);
    }
  });
});

import { describe, expect, it } from "vitest";
import { keepsRowsApart } from "../../../../models/serving/repository/row-operators.ts";
import type { OnnxSession } from "../../../../models/serving/runtime/onnx-session.ts";
import { isByRow, triesRowByRow } from "../../../../models/serving/runtime/row-independence.ts";
import type { Tensors } from "../../../../models/serving/tensors/tensors.ts";
import {
  type AttributeValue,
  buildModel,
  bytesSource,
  encodeModel,
  type ModelProto,
  mlDomain,
  node,
  readModel,
  tensor,
  tensorInfo,
} from "../../../../shared/onnx/index.ts";
import {
  linearModel,
  oneHotModel,
  slowModel,
  sumModel,
  tileModel,
  treeModel,
  zipMapModel,
} from "../models.ts";

type Attributes = Readonly<Record<string, AttributeValue>>;
type Node = ReturnType<typeof node>;

const asRead = (model: ModelProto) => readModel(bytesSource(encodeModel(model)));
const integers = (name: string, values: readonly number[]) =>
  tensor(name, BigInt64Array.from(values, BigInt));
const floats = (name: string, shape: readonly number[]) =>
  tensor(name, new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(1), shape);

/** X of some dimensions, the first varying, through these nodes to Y, with constants to take from. */
function graph(rank: number, ...nodes: readonly Node[]) {
  const sizes = ["N", 4, 3].slice(0, rank);
  return buildModel({
    name: "rows",
    producerVersion: "test",
    inputs: [tensorInfo("X", "float32", sizes)],
    outputs: [tensorInfo("Y", "float32", ["N", "M"])],
    nodes,
    initializers: [
      floats("scalar", []),
      floats("vector", [4]),
      floats("row", [1, 4]),
      floats("rows", [2, 4]),
      floats("matrix", [4, 4]),
      floats("cube", [2, 4, 4]),
      integers("first", [0]),
      integers("last", [-1]),
      integers("second", [1]),
      integers("to flat", [-1]),
      integers("to pairs", [-1, 2]),
      integers("to rest", [0, -1]),
      integers("to one", [1, -1]),
      integers("to two", [2, -1]),
      integers("to columns", [4, -1]),
    ],
  });
}
const standard = (operator: string, inputs: readonly string[], attributes: Attributes = {}) =>
  node(operator, inputs, ["Y"], attributes);
const ml = (operator: string, inputs: readonly string[], outputs = ["Y"]) =>
  node(operator, inputs, outputs, {}, mlDomain);

describe("operators that keep rows apart", () => {
  const kept: readonly [string, number, ...Node[]][] = [
    ["weights", 2, standard("MatMul", ["X", "matrix"])],
    ["a linear layer", 2, standard("Gemm", ["X", "matrix", "vector"])],
    ["a linear layer with a bias in a row", 2, standard("Gemm", ["X", "matrix", "row"])],
    ["a constant for all", 2, standard("Add", ["X", "scalar"])],
    ["a constant for each column", 2, standard("Sub", ["X", "row"])],
    ["two values of the same rows", 2, node("Relu", ["X"], ["R"]), standard("Mul", ["X", "R"])],
    ["Softmax along the columns", 2, standard("Softmax", ["X"], { axis: { int: 1 } })],
    ["Softmax along the last dimension", 2, standard("Softmax", ["X"])],
    ["the mean of the columns", 2, standard("ReduceMean", ["X"], { axes: { ints: [1] } })],
    ["the mean of axes in a constant", 2, standard("ReduceMean", ["X", "last"])],
    ["the largest column", 2, standard("ArgMax", ["X"], { axis: { int: -1 }, keepdims: { int: 0 } })],
    ["columns side by side", 2, standard("Concat", ["X", "X"], { axis: { int: 1 } })],
    ["some of the columns", 2, standard("Gather", ["X", "second"], { axis: { int: 1 } })],
    [
      "rows of a table",
      1,
      node("Cast", ["X"], ["I"], { to: { int: 7 } }),
      standard("Gather", ["matrix", "I"]),
    ],
    ["Reshape that keeps the rows", 3, standard("Reshape", ["X", "to rest"])],
    ["Reshape that cuts each row", 2, standard("Reshape", ["X", "to pairs"])],
    ["Flatten", 3, standard("Flatten", ["X"])],
    ["another dimension at the end", 2, standard("Unsqueeze", ["X", "last"])],
    ["products of matrices, each row its own", 3, node("Relu", ["X"], ["R"]), standard("MatMul", ["R", "X"])],
    ["trees", 2, ml("TreeEnsembleRegressor", ["X"])],
    ["a classifier", 2, ml("LinearClassifier", ["X"], ["L", "Y"])],
    ["scaling", 2, ml("Scaler", ["X"])],
    ["chosen features", 2, ml("ArrayFeatureExtractor", ["X", "second"])],
    [
      "a constant made by an operator",
      2,
      node("Constant", [], ["C"], { value: { tensor: floats("", [1, 4]) } }),
      standard("Add", ["X", "C"]),
    ],
  ];
  for (const [label, rank, ...nodes] of kept) {
    it(`include ${label}`, () => expect(keepsRowsApart(asRead(graph(rank, ...nodes)))).toBe(true));
  }

  it("include those of whole models", () => {
    for (const model of [linearModel([1, 2]), treeModel(1, 2, 3), sumModel(), oneHotModel(["red"])]) {
      expect(keepsRowsApart(asRead(model)), model.graph?.name ?? "").toBe(true);
    }
  });
});

describe("operators that may let rows meet", () => {
  const refused: readonly [string, number, ...Node[]][] = [
    [
      "the mean of the rows",
      2,
      node("ReduceMean", ["X"], ["M"], { axes: { ints: [0] } }),
      standard("Sub", ["X", "M"]),
    ],
    [
      "the mean of the rows, counted from the end",
      2,
      standard("ReduceMean", ["X"], { axes: { ints: [-2] } }),
    ],
    ["the mean of axes in a constant", 2, standard("ReduceSum", ["X", "first"])],
    ["the mean of everything", 2, standard("ReduceMean", ["X"])],
    ["Softmax over the rows", 2, standard("Softmax", ["X"], { axis: { int: 0 } })],
    ["Softmax over the rows, counted from the end", 2, standard("Softmax", ["X"], { axis: { int: -2 } })],
    ["Softmax of a list, whose last dimension is the rows", 1, standard("Softmax", ["X"])],
    ["the largest of the rows", 2, standard("ArgMax", ["X"])],
    ["rows behind rows", 2, standard("Concat", ["X", "X"], { axis: { int: 0 } })],
    ["a chosen row", 2, standard("Gather", ["X", "second"])],
    ["everything in one row", 2, standard("Reshape", ["X", "to one"])],
    ["as many rows as a number says", 2, standard("Reshape", ["X", "to two"])],
    ["rows in the place of columns", 2, standard("Reshape", ["X", "to columns"])],
    [
      "a size that follows from the number of rows",
      2,
      node("Shape", ["X"], ["S"]),
      standard("Reshape", ["X", "S"]),
    ],
    ["rows and columns exchanged", 2, standard("Transpose", ["X"])],
    ["a product with the rows as columns", 2, standard("Gemm", ["X", "matrix"], { transA: { int: 1 } })],
    ["weights before the rows", 2, standard("MatMul", ["matrix", "X"])],
    ["a product of rows with rows", 2, standard("MatMul", ["X", "X"])],
    ["many weights at once, which move the rows back by a dimension", 2, standard("MatMul", ["X", "cube"])],
    ["a constant with rows of its own", 2, standard("Add", ["X", "rows"])],
    ["a constant of more dimensions", 1, standard("Add", ["X", "row"])],
    [
      "rows against a list of rows",
      2,
      node("ReduceMax", ["X"], ["R"], { axes: { ints: [1] }, keepdims: { int: 0 } }),
      standard("Sub", ["X", "R"]),
    ],
    ["a running sum", 2, standard("CumSum", ["X", "first"])],
    [
      "statistics of training",
      2,
      standard("BatchNormalization", ["X", "vector", "vector", "vector", "vector"], {
        training_mode: { int: 1 },
      }),
    ],
    ["a norm over a list of rows", 1, ml("Normalizer", ["X"])],
    ["a list as one row", 1, ml("LinearRegressor", ["X"])],
    ["the rows themselves as features", 1, ml("ArrayFeatureExtractor", ["X", "first"])],
    [
      "a draw for all rows",
      2,
      node("RandomNormal", [], ["D"], { shape: { ints: [1, 4] } }),
      standard("Add", ["X", "D"]),
    ],
    ["an unknown operator", 2, standard("NonMaxSuppression", ["X"])],
    ["an operator of another domain", 2, node("Relu", ["X"], ["Y"], {}, "com.example")],
    ["an answer without rows", 2, node("Relu", ["X"], ["Z"]), standard("Identity", ["row"])],
  ];
  for (const [label, rank, ...nodes] of refused) {
    it(`include ${label}`, () => expect(keepsRowsApart(asRead(graph(rank, ...nodes)))).toBe(false));
  }

  it("include those of whole models", () => {
    for (const model of [slowModel(2), tileModel(), zipMapModel([0, 1])]) {
      expect(keepsRowsApart(asRead(model)), model.graph?.name ?? "").toBe(false);
    }
  });
});

describe("a signature is by row", () => {
  const spec = (name: string, ...dimensions: (number | string)[]) => ({
    name,
    datatype: "FP32" as const,
    shape: dimensions.map((size) => (typeof size === "number" ? size : -1)),
    dimensionNames: dimensions.map((size) => (typeof size === "number" ? "" : size)),
  });
  it("when every tensor begins with a size that varies and stands nowhere else", () => {
    expect(isByRow({ inputs: [spec("X", "N", 3)], outputs: [spec("Y", "N", 1), spec("Z", "N")] })).toBe(true);
    expect(isByRow({ inputs: [spec("X", "N", 3)], outputs: [spec("Y", "", 1)] })).toBe(true);
  });
  it("but not with a fixed number of rows, a scalar, a square of rows, or an open number of dimensions", () => {
    const Y = spec("Y", "N", 1);
    expect(isByRow({ inputs: [spec("X", 1, 3)], outputs: [Y] })).toBe(false);
    expect(isByRow({ inputs: [spec("X", "N", 3)], outputs: [spec("Y", 1)] })).toBe(false);
    expect(isByRow({ inputs: [spec("X", "N", 3)], outputs: [spec("Y")] })).toBe(false);
    expect(isByRow({ inputs: [spec("X", "N", "N")], outputs: [Y] })).toBe(false);
    expect(isByRow({ inputs: [{ ...spec("X", "N"), shape: null }], outputs: [Y] })).toBe(false);
  });
});

describe("trying a model row by row", () => {
  /** A model of one input and one output, as long as its input says. */
  const sessionOf = (answer: (rows: number[][]) => number[]): OnnxSession => ({
    signature: {
      inputs: [],
      outputs: [{ name: "Y", datatype: "FP32", shape: [-1], dimensionNames: ["N"] }],
    },
    async run({ X }) {
      const [rows = 0, width = 0] = X?.shape ?? [];
      const data = [...(X?.data ?? [])].map(Number);
      const values = answer(Array.from({ length: rows }, (_, i) => data.slice(i * width, (i + 1) * width)));
      return {
        runMs: 0,
        outputs: { Y: { datatype: "FP32", shape: [values.length], data: Float32Array.from(values) } },
      };
    },
    release: async () => undefined,
  });
  const sample = (...values: number[]): Tensors => ({
    X: { datatype: "FP32", shape: [1, values.length], data: Float32Array.from(values) },
  });
  const sum = (row: readonly number[]) => row.reduce((total, value) => total + value, 0);

  it("finds that rows are answered alone", async () => {
    expect(
      await triesRowByRow(
        sessionOf((rows) => rows.map(sum)),
        sample(1, 2, 3),
      ),
    ).toBe(true);
  });
  it("finds that rows meet, even from a row of zeros", async () => {
    const centred = sessionOf((rows) => rows.map((row) => sum(row) - sum(rows.map(sum)) / rows.length));
    const normed = sessionOf((rows) => rows.map((row) => sum(row) / Math.hypot(...rows.map(sum))));
    for (const values of [
      [1, 2],
      [0, 0],
      [-5, 5],
    ]) {
      expect(await triesRowByRow(centred, sample(...values))).toBe(false);
      expect(await triesRowByRow(normed, sample(...values))).toBe(false);
    }
  });
  it("finds that a model does not take several rows", async () => {
    const single = sessionOf((rows) => {
      if (rows.length !== 1) throw new Error("one row only");
      return rows.map(sum);
    });
    expect(await triesRowByRow(single, sample(1))).toBe(false);
  });
  it("finds that there is one answer for all rows", async () => {
    expect(
      await triesRowByRow(
        sessionOf(([row = []]) => [sum(row)]),
        sample(1),
      ),
    ).toBe(false);
  });
  it("cannot say it of a row that has nothing to vary", async () => {
    const X = { datatype: "INT64", shape: [1, 1], data: BigInt64Array.of(1n) } as const;
    expect(
      await triesRowByRow(
        sessionOf((rows) => rows.map(sum)),
        { X },
      ),
    ).toBeUndefined();
  });
});

import { describe, expect, it } from "vitest";
import { inputColumnsOf } from "../../../../models/serving/batch/input-columns.ts";
import { cellsOf, outputPlans } from "../../../../models/serving/batch/output-columns.ts";
import { predictRows } from "../../../../models/serving/batch/predict-rows.ts";
import type { ModelDescription } from "../../../../models/serving/repository/model.ts";
import type { TensorSpec } from "../../../../models/serving/tensors/signature.ts";
import type { Datatype, Tensor, TensorData, Tensors } from "../../../../models/serving/tensors/tensors.ts";
import { invalid } from "../../../../shared/errors.ts";

const tensor = (name: string, datatype: Datatype, shape: readonly number[] | null): TensorSpec => ({
  name,
  datatype,
  shape,
  dimensionNames: [],
});
const modelOf = (
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[] = [],
  more: Partial<ModelDescription> = {},
): ModelDescription => ({
  signature: { inputs, outputs },
  classLabels: {},
  columns: null,
  params: [],
  metadata: {},
  nodeCount: 1,
  fileBytes: 1,
  inlineCost: null,
  rowWise: true,
  servedFile: "/model.onnx",
  hints: { unranked: [], defaults: {}, unserved: [] },
  ...more,
});
const numeric = (...names: string[]) =>
  names.map((name) => ({ name, type: "DOUBLE", kind: "numeric" as const }));

describe("the columns that a model gets", () => {
  const matrix = modelOf([tensor("X", "FP32", [-1, 2])]);

  it("are those that it names, in its order of the table", () => {
    const columns = ["b", "a"].map((name) => ({ name, type: "double", required: true }));
    const inputColumns = inputColumnsOf(
      modelOf(matrix.signature.inputs, [], { columns }),
      numeric("id", "a", "b"),
      null,
    );
    expect(inputColumns.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  it("are all, where it names none and they are as many as it takes", () => {
    expect(inputColumnsOf(matrix, numeric("p", "q"), null)).toHaveLength(2);
    expect(() => inputColumnsOf(matrix, numeric("p", "q", "r"), null)).toThrow(
      /3 columns.*takes 2.*input\.columns/,
    );
  });

  it("may be lists, where an input has a row of several values", () => {
    const inputColumns = inputColumnsOf(
      modelOf([tensor("X", "FP32", [-1, 384])]),
      [{ name: "X", type: "FLOAT[]", kind: "other" }],
      null,
    );
    expect(inputColumns).toHaveLength(1);
  });
});

describe("the columns of a result", () => {
  it("are one for a value, one for each class, and lists for all else", () => {
    const outputs = [
      tensor("label", "BYTES", [-1]),
      tensor("odds", "FP32", [-1, 2]),
      tensor("parts", "FP64", [-1, 3]),
      tensor("boxes", "INT64", [-1, -1, 4]),
      tensor("Y", "FP16", [-1, 1]),
    ];
    const plans = outputPlans(modelOf([], outputs, { classLabels: { odds: ["no", "yes"] } }), ["id"], []);
    expect(plans.flatMap(({ columns }) => columns.map(({ name, type }) => `${name} ${type}`))).toEqual([
      "label varchar",
      "odds_no float",
      "odds_yes float",
      "parts double[]",
      "boxes bigint[][]",
      "Y float",
    ]);
    const cells = (at: number, datatype: Datatype, shape: number[], data: TensorData) =>
      cellsOf(plans[at] as (typeof plans)[number], { datatype, shape, data });
    expect(cells(1, "FP32", [2, 2], Float32Array.of(0.25, 0.75, 1, 0))).toEqual([
      [0.25, 1],
      [0.75, 0],
    ]);
    expect(cells(2, "FP64", [1, 3], Float64Array.of(1, 2, 3))).toEqual([[[1, 2, 3]]]);
    expect(cells(3, "INT64", [2, 1, 4], BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n))).toEqual([
      [[[1n, 2n, 3n, 4n]], [[5n, 6n, 7n, 8n]]],
    ]);
    expect(cells(4, "FP16", [1, 1], Uint16Array.of(0x3c00))).toEqual([[1]]);
  });

  it("have names of their own, whatever the case", () => {
    expect(() => outputPlans(modelOf([], [tensor("Y", "FP32", [-1])]), ["y"], [])).toThrow(/two columns "Y"/);
  });
});

describe("the rows of a data set", () => {
  const one = (data: readonly number[]): Tensors => ({
    X: { datatype: "FP32", shape: [data.length, 1], data: Float32Array.from(data) },
  });
  const { signature } = modelOf([tensor("X", "FP32", [-1, 1])]);
  const values = (inputs: Tensors) => Array.from((inputs.X as Tensor).data as Float32Array);
  /** Refuses negative numbers. */
  const root = async (inputs: Tensors) => {
    if (values(inputs).some((value) => value < 0)) throw invalid("no root");
    return one(values(inputs).map(Math.sqrt));
  };

  it("that the model refuses are found, and all others answered", async () => {
    const rows = Array.from({ length: 5000 }, (_, row) => (row === 17 || row === 4321 ? -1 : row));
    const { answered, failed } = await predictRows(signature, one(rows), rows.length, 2, root);
    expect(failed).toEqual([
      { row: 17, message: "no root" },
      { row: 4321, message: "no root" },
    ]);
    const found = new Map(
      answered.flatMap(({ start, outputs }) => values(outputs).map((y, at) => [start + at, y])),
    );
    expect(found.size).toBe(4998);
    for (const [row, y] of found) expect(y).toBe(Math.fround(Math.sqrt(row)));
  });

  it("are given up soon when more of them fail than may", async () => {
    let runs = 0;
    const refuse = async () => {
      runs++;
      throw invalid("never");
    };
    const { failed } = await predictRows(signature, one(new Array(2048).fill(1)), 2048, 0, refuse);
    expect(failed).toHaveLength(1);
    expect(runs).toBe(12);
  });

  it("go in the numbers that the model insists on", async () => {
    const fixed = modelOf([tensor("X", "FP32", [2, 1])]).signature;
    const sizes: number[] = [];
    const run = async (inputs: Tensors) => {
      sizes.push(values(inputs).length);
      return inputs;
    };
    await predictRows(fixed, one([1, 2, 3, 4]), 4, 0, run);
    expect(sizes).toEqual([2, 2]);
    await expect(predictRows(fixed, one([1, 2, 3]), 3, 0, run)).rejects.toThrow(/exactly 2 rows at a time/);
  });

  it("need a model that answers each of them", async () => {
    const run = async () => one([1]);
    await expect(predictRows(signature, one([1, 2]), 2, 9, run)).rejects.toThrow(/one row for each row/);
  });
});

import type { Prediction, Tensor } from "../../../models/serving/index.ts";

/** A tensor of numbers with one row per value. */
export function column(values: readonly number[]): Tensor {
  return { datatype: "FP64", shape: [values.length, 1], data: Float64Array.from(values) };
}

export function texts(values: readonly string[]): Tensor {
  return { datatype: "BYTES", shape: [values.length], data: values };
}

/** A good prediction of one row, with what a test says otherwise. */
export function prediction(changes: Partial<Prediction> = {}): Prediction {
  return {
    requestId: "request-1",
    atMs: Date.UTC(2001, 3, 23, 7, 30),
    deployment: "flights",
    revision: 1,
    variant: "main",
    shadow: false,
    modelName: "late",
    modelVersion: "1",
    inputs: { distance: column([500]), origin: texts(["ATL"]) },
    outputs: { probability: column([0.25]) },
    status: "ok",
    durationMs: 4,
    ...changes,
  };
}

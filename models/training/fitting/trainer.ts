import type { buildModel } from "../../../shared/onnx/index.ts";
import type { HoldoutBatch } from "../data/holdout-rows.ts";
import type { TrainingRows } from "../data/training-rows.ts";
import type { Algorithm, TrainingSpec } from "../schemas.ts";

/** A way of learning. Whatever it is, it ends in a function from rows to predictions, here and as a graph. */
export interface Trainer {
  /** @throws invalid when the rows cannot be learnt from: one class only, too many columns. */
  fit(rows: TrainingRows, request: FitRequest): FittedModel;
}

export interface FitRequest {
  readonly task: TrainingSpec["task"];
  readonly algorithm: Algorithm;
  readonly report: (done: number, message: string) => void;
}

export interface FittedModel {
  /** The probability of a 1, or the value, for each row: of the training rows … */
  predictTraining(): Float64Array;
  /** … and of others. In double precision, apart from the inputs. */
  predict(inputs: HoldoutBatch["inputs"], rows: number): Float64Array;
  /** How far graph and trainer may be apart, relative to the larger of 1, the prediction and `magnitude`. */
  readonly tolerance: number;
  /** The size of the numbers that a prediction is added up from: their rounding is not that of a small sum. */
  readonly magnitude: number;
  /** How much the model owes to each feature; empty where its weights say so themselves. */
  importances(): readonly Importance[];
  /** The graph between the inputs, one per feature, and the prediction. */
  graph(): PredictorGraph;
  /** What is worth logging of the fit. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The mean training loss after each iteration. */
  readonly losses: readonly number[];
  readonly notes: readonly string[];
}

export interface Importance {
  readonly feature: string;
  /** Share of what the training loss fell by at splits of this feature. */
  readonly gain: number;
  /** By how much the mean training loss rises when the values of the feature are dealt out anew among the rows. */
  readonly permutation: number;
}

type Parts = Parameters<typeof buildModel>[0];

export interface PredictorGraph {
  readonly nodes: Parts["nodes"];
  readonly initializers: Parts["initializers"];
  /** The tensor, float64 [N, 1], with the value, or for a binary task with the log-odds of a 1. */
  readonly score: string;
}

import { withDuckDb } from "../../../shared/duckdb/index.ts";
import type { ReferenceProfile } from "../../../shared/statistics/index.ts";
import { boostingTrainer } from "../boosting/boosting-trainer.ts";
import { countHoldout, type HoldoutBatch, holdoutBatches } from "../data/holdout-rows.ts";
import type { Recipe } from "../data/recipe.ts";
import { checkRows, readTrainingRows } from "../data/training-rows.ts";
import { baselinesOf } from "../evaluation/baselines.ts";
import { bootstrapIntervals, type Intervals } from "../evaluation/bootstrap.ts";
import {
  type Confusion,
  confusionAtThresholds,
  type PredictionGroup,
  predictionGroups,
} from "../evaluation/confusion.ts";
import {
  type BinaryMetrics,
  type CalibrationBin,
  calibration,
  type RegressionMetrics,
} from "../evaluation/evaluation.ts";
import { openGraph } from "../evaluation/scoring.ts";
import { metricsOf, type SliceCodes, type SliceMetrics, sliceMetrics } from "../evaluation/slices.ts";
import { modelGraph } from "../export/model-graph.ts";
import { type RocPoint, rocCurve } from "../export/picture.ts";
import { linearTrainer } from "../linear/linear-trainer.ts";
import { trainingProfile } from "../reference-profile.ts";
import type { Algorithm, Baselines, TrainingSpec } from "../schemas.ts";
import type { FittedModel, Importance } from "./trainer.ts";

export interface FitTask {
  /** The rows of the data set, as Parquet. */
  readonly file: string;
  readonly scratchDirectory: string;
  readonly spec: TrainingSpec;
  readonly algorithm: Algorithm;
  readonly recipe: Recipe;
  /** What runs say that they were made by. */
  readonly codeVersion: string;
}

export interface FitResult {
  readonly model: Uint8Array<ArrayBuffer>;
  readonly rows: { readonly train: number; readonly holdout: number; readonly withoutTarget: number };
  readonly metrics: BinaryMetrics | RegressionMetrics;
  /** Of the metrics, by name. */
  readonly intervals: Intervals;
  readonly confusion: readonly Confusion[];
  /** Of a regression. */
  readonly groups: readonly PredictionGroup[];
  readonly baselines: Baselines;
  readonly slices: readonly SliceMetrics[];
  readonly calibration: readonly CalibrationBin[];
  readonly roc: readonly RocPoint[];
  readonly profile: ReferenceProfile;
  /** The largest difference between the graph and the trainer, relative to the larger of 1 and the prediction. */
  readonly disagreement: number;
  readonly parameters: Readonly<Record<string, string>>;
  readonly losses: readonly number[];
  readonly importances: readonly Importance[];
  readonly notes: readonly string[];
  /** Some rows of the holdout, as a client would send them. */
  readonly example: Readonly<Record<string, readonly (readonly (number | string)[])[]>>;
}

const exampleRows = 3;
/** Of the bootstrap: half a second at most. */
const sampling = { seed: 20_010_101, resamples: 200, maxRows: 10_000 };

/** Reads, fits, writes the graph, and holds the graph against the trainer on every row of the holdout. */
export default async function fitModel(
  task: FitTask,
  report: (done: number, message?: string) => void,
): Promise<FitResult> {
  const { file, scratchDirectory, spec, algorithm, recipe, codeVersion } = task;
  return withDuckDb({ files: [file], scratchDirectory }, async (duckDb) => {
    const holdout = await countHoldout(duckDb, file, spec, recipe);
    checkRows("holdout", holdout.rows, holdout.withoutTarget, spec);
    const rows = await readTrainingRows(duckDb, file, spec, recipe, (done, message) =>
      report(0.3 * done, message),
    );
    const trainer = algorithm.kind === "boosting" ? boostingTrainer : linearTrainer;
    const fitted = trainer.fit(rows, {
      task: recipe.task,
      algorithm,
      report: (done, message) => report(0.3 + 0.3 * done, message),
    });
    report(0.6, "profiling the training rows");
    const profile = trainingProfile(rows, fitted.predictTraining(), recipe.task);
    const model = modelGraph(recipe, fitted.graph(), {
      dataset: spec.dataset,
      datasetVersion: spec.version,
      algorithm: algorithm.kind,
      codeVersion,
      choice: { split: spec.split, where: spec.where, sample: spec.sample, rowKey: spec.rowKey },
    });
    const tested = await testOnHoldout(
      model,
      fitted,
      recipe,
      spec.slices,
      holdoutBatches(duckDb, file, spec, recipe),
      holdout.rows,
      (done, message) => report(0.65 + 0.3 * done, message),
    );
    report(0.95, "evaluating");
    const { target, predicted } = tested;
    const binary = recipe.task === "binary";
    return {
      model,
      rows: {
        train: rows.rows,
        holdout: holdout.rows,
        withoutTarget: rows.withoutTarget + holdout.withoutTarget,
      },
      metrics: metricsOf(recipe, target, predicted),
      intervals: bootstrapIntervals((...both) => metricsOf(recipe, ...both), target, predicted, sampling),
      confusion: binary ? confusionAtThresholds(target, predicted) : [],
      groups: binary ? [] : predictionGroups(target, predicted),
      baselines: baselinesOf(rows, recipe, target, predicted),
      slices: sliceMetrics(recipe, target, predicted, tested.slices),
      calibration: binary ? calibration(target, predicted) : [],
      roc: binary ? rocCurve(target, predicted) : [],
      profile,
      disagreement: tested.disagreement,
      parameters: fitted.parameters,
      losses: fitted.losses,
      importances: fitted.importances(),
      notes: fitted.notes,
      example: tested.example,
    };
  });
}

/** The predictions are the graph's: it is what will be served. */
async function testOnHoldout(
  model: Uint8Array,
  fitted: FittedModel,
  recipe: Recipe,
  sliceColumns: readonly string[],
  batches: AsyncIterable<HoldoutBatch>,
  rows: number,
  report: (done: number, message: string) => void,
) {
  const target = new Float64Array(rows);
  const predicted = new Float64Array(rows);
  const slices: SliceCodes[] = sliceColumns.map((column) => ({
    column,
    codes: new Int32Array(rows),
    values: new Map(),
  }));
  let disagreement = 0;
  let example: FitResult["example"] = {};
  let row = 0;
  const graph = await openGraph(model, recipe);
  try {
    for await (const batch of batches) {
      const fromGraph = await graph.predict(batch.inputs, batch.rows);
      const fromTrainer = fitted.predict(batch.inputs, batch.rows);
      disagreement = Math.max(disagreement, largestDifference(fromGraph, fromTrainer, fitted.magnitude));
      if (!(disagreement <= fitted.tolerance)) {
        throw new Error(
          `The graph and the trainer differ by ${disagreement} on the rows ${row} to ${row + batch.rows - 1} of the holdout; ${fitted.tolerance} is allowed.`,
        );
      }
      if (row === 0) example = exampleOf(batch, recipe);
      target.set(batch.target, row);
      predicted.set(fromGraph, row);
      for (const [index, slice] of slices.entries()) collect(slice, batch.slices[index] ?? [], row);
      row += batch.rows;
      report(row / rows, `ran the graph on ${row} of ${rows} rows of the holdout`);
    }
  } finally {
    await graph.close();
  }
  return { target, predicted, slices, disagreement, example };
}

/** NaN as soon as one side is no number. */
function largestDifference(graph: Float32Array, trainer: Float64Array, magnitude: number): number {
  let largest = 0;
  for (let row = 0; row < trainer.length; row++) {
    const expected = trainer[row] as number;
    const difference =
      Math.abs((graph[row] as number) - expected) / Math.max(1, magnitude, Math.abs(expected));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

function collect({ codes, values }: SliceCodes, found: readonly (string | null)[], row: number): void {
  for (const [index, value] of found.entries()) {
    let code = values.get(value);
    if (code === undefined) {
      code = values.size;
      values.set(value, code);
    }
    codes[row + index] = code;
  }
}

/** Rows without a missing number where there are some: JSON has no NaN. */
function exampleOf({ inputs, rows }: HoldoutBatch, recipe: Recipe): FitResult["example"] {
  const complete = Array.from({ length: rows }, (_, row) => row).filter((row) =>
    recipe.features.every(({ name }) => {
      const value = inputs.get(name)?.[row];
      return typeof value === "string" || Number.isFinite(value);
    }),
  );
  return Object.fromEntries(
    recipe.features.map(({ name }) => [
      name,
      complete.slice(0, exampleRows).map((row) => [inputs.get(name)?.[row] ?? ""]),
    ]),
  );
}

import { invalid } from "../../../shared/errors.ts";
import { checkClasses, weightsOfClasses } from "../data/classes.ts";
import {
  type CategoricalEncoding,
  type Encoding,
  featureNamed,
  fitEncoding,
  isEmpty,
  missingOf,
  standardise,
} from "../data/encoding.ts";
import type { HoldoutBatch } from "../data/holdout-rows.ts";
import type { TrainingRows } from "../data/training-rows.ts";
import type { FitRequest, FittedModel, Trainer } from "../fitting/trainer.ts";
import { linearGraph } from "./linear-graph.ts";
import { type Design, fitLinear, type LinearFit, scoresOf, sigmoid } from "./newton.ts";

/** The solver keeps and factors a square matrix of the columns. */
const maxColumns = 3000;

/**
 * The graph computes in double precision as the trainer does and rounds its output to float32: half a unit in the last
 * place, 6e-8, and some room for sums in another order.
 */
const tolerance = 5e-7;

/** Ridge and logistic regression over standardised numbers and one-hot categories. */
export const linearTrainer: Trainer = {
  fit(rows, { task, algorithm, report }: FitRequest): FittedModel {
    if (algorithm.kind === "boosting") throw new Error("Linear models are not boosted.");
    checkClasses(rows, task);
    const encoding = fitEncoding(rows, algorithm);
    const design = trainingDesign(rows, encoding);
    const width = design.dense.length + design.categorical.reduce((sum, { levels }) => sum + levels, 0);
    if (width > maxColumns) {
      throw invalid(
        `The features make ${width} columns; the solver takes ${maxColumns}. Lower algorithm.maxLevels or raise algorithm.minLevelRows.`,
        { field: "algorithm" },
      );
    }
    const sampleWeights = algorithm.kind === "logistic" ? weightsOfClasses(rows, algorithm) : undefined;
    const losses: number[] = [];
    const fit = solve(design, rows.target, {
      loss: task === "binary" ? "logistic" : "squared",
      l2: algorithm.l2,
      ...(sampleWeights === undefined ? {} : { sampleWeights }),
      report(iteration, meanLoss) {
        losses.push(meanLoss);
        report(1 - 0.7 ** iteration, `iteration ${iteration}: mean loss ${meanLoss.toPrecision(6)}`);
      },
    });
    const link = task === "binary" ? sigmoid : (score: number) => score;
    return {
      predictTraining: () => scoresOf(design, fit).map(link),
      predict: (inputs, count) => scoresOf(batchDesign(inputs, count, encoding), fit).map(link),
      graph: () => linearGraph(encoding, fit),
      parameters: {
        columns: String(width),
        iterations: String(fit.iterations),
        converged: String(fit.converged),
      },
      losses,
      tolerance,
      magnitude: 1,
      importances: () => [],
      notes: notesOf(rows, encoding, fit),
    };
  },
};

function solve(...problem: Parameters<typeof fitLinear>): LinearFit {
  try {
    return fitLinear(...problem);
  } catch (error) {
    if (error instanceof RangeError) throw invalid(error.message, { field: "algorithm.l2", cause: error });
    throw error;
  }
}

/** Numbers, then the indicators of missing ones, then the levels: the order of the weights. */
function trainingDesign(rows: TrainingRows, encoding: Encoding): Design {
  const valuesOf = (name: string) => featureNamed(rows, name, "numeric").values;
  return {
    rows: rows.rows,
    dense: denseColumns(encoding, valuesOf),
    categorical: encoding.categorical.map((feature) => {
      const { codes } = featureNamed(
        rows,
        feature.name,
        feature.input === "text" ? "text levels" : "number levels",
      );
      const levels = feature.levels.length;
      // The levels that are kept are the first ones, as they are the most frequent.
      return { levels, codes: codes.map((code) => (code < levels ? code : -1)) };
    }),
  };
}

function batchDesign(inputs: HoldoutBatch["inputs"], rows: number, encoding: Encoding): Design {
  const valuesOf = (name: string) => inputs.get(name) as Float32Array;
  return {
    rows,
    dense: denseColumns(encoding, valuesOf),
    categorical: encoding.categorical.map((feature) => {
      const codeOf = new Map<unknown, number>(feature.levels.map((level, code) => [level, code]));
      const values: ArrayLike<string | number> = inputs.get(feature.name) ?? [];
      return {
        levels: feature.levels.length,
        codes: Int32Array.from(values as ArrayLike<never>, (value) => codeOf.get(value) ?? -1),
      };
    }),
  };
}

function denseColumns(encoding: Encoding, valuesOf: (name: string) => Float32Array): Float64Array[] {
  return [
    ...encoding.numeric.map((feature) => standardise(valuesOf(feature.name), feature)),
    ...encoding.numeric
      .filter((feature) => feature.indicator)
      .map((feature) => missingOf(valuesOf(feature.name))),
  ];
}

/** From here on float32 cannot tell whole numbers apart. */
const wholeInFloat32 = 2 ** 24;

function notesOf(rows: TrainingRows, encoding: Encoding, fit: LinearFit): string[] {
  const notes: string[] = [];
  if (!fit.converged) notes.push("The solver did not converge; the weights are those of its last iteration.");
  for (const { name, fill, mean, sd, indicator } of encoding.numeric) {
    const { values } = featureNamed(rows, name, "numeric");
    const known = values.some(Number.isFinite);
    if (!known)
      notes.push(`"${name}" has no value in any training row; only its absence is known to the model.`);
    else if (sd === 1 && !indicator && values.every((value) => value === values[0])) {
      notes.push(`"${name}" is ${fill} in every training row and gets no weight.`);
    }
    if (Math.abs(mean) + sd > wholeInFloat32) {
      notes.push(`"${name}" has values beyond 2^24; the model gets them as float32, which merges near ones.`);
    }
  }
  for (const feature of encoding.categorical) {
    const column = featureNamed(
      rows,
      feature.name,
      feature.input === "text" ? "text levels" : "number levels",
    );
    if (isEmpty(column)) notes.push(`"${feature.name}" has no value in any training row.`);
    else if (feature.levels.length === 0)
      notes.push(`No level of "${feature.name}" is frequent enough to get a weight.`);
  }
  return notes.concat(rareLevels(rows, encoding.categorical));
}

function rareLevels(rows: TrainingRows, categorical: readonly CategoricalEncoding[]): string[] {
  return categorical.flatMap(({ name, input, levels }) => {
    const column = featureNamed(rows, name, input === "text" ? "text levels" : "number levels");
    const dropped = column.levels.length - levels.length;
    return dropped > 0 && levels.length > 0
      ? [`${levels.length} levels of "${name}" get a weight; ${dropped} rarer ones count as unknown.`]
      : [];
  });
}

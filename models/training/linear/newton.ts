import { solvePositiveDefinite } from "./cholesky.ts";

/**
 * A design matrix whose columns are: the dense ones, then one column per level of each categorical one, then the
 * intercept. A row has one level at most per categorical column, so only those are stored.
 */
export interface Design {
  readonly rows: number;
  /** Each of `rows` finite values. */
  readonly dense: readonly Float64Array[];
  /** Level of each row from 0, or -1 for none. */
  readonly categorical: readonly { readonly codes: Int32Array; readonly levels: number }[];
}

export interface FitOptions {
  readonly loss: "squared" | "logistic";
  /**
   * Strength of the ridge penalty `l2 / 2 * |w|²` on every weight but the intercept, beside the sum of the losses over
   * the rows. (scikit-learn: `Ridge(alpha=l2)`, `LogisticRegression(C=1/l2)`.)
   */
  readonly l2: number;
  /** One per row, 0 or more; all 1 when not given. */
  readonly sampleWeights?: Float64Array;
  /** 50 by default. */
  readonly maxIterations?: number;
  /** Told after each iteration, with the mean loss. */
  readonly report?: (iteration: number, meanLoss: number) => void;
}

export interface LinearFit {
  /** In the order of the design's columns. */
  readonly weights: Float64Array;
  readonly intercept: number;
  readonly iterations: number;
  readonly converged: boolean;
}

/** The largest component of the gradient per unit of sample weight at which the fit has converged. */
const tolerance = 1e-10;

/**
 * Fits a linear model under squared loss (ridge regression) or logistic loss by Newton's method with step halving
 * (iteratively reweighted least squares; Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, §4.4.1).
 * Under squared loss the first step is the answer. Costs `rows * (dense + categorical)²` per iteration.
 *
 * @param target one value per row; 0 or 1 for logistic loss
 * @throws RangeError when lengths differ, or when the penalty is 0 and columns are collinear
 */
export function fitLinear(design: Design, target: Float64Array, options: FitOptions): LinearFit {
  const { loss, l2, maxIterations = 50 } = options;
  const sampleWeights = options.sampleWeights ?? new Float64Array(design.rows).fill(1);
  checkLengths(design, target, sampleWeights);
  const width = widthOf(design);
  const totalWeight = sampleWeights.reduce((sum, weight) => sum + weight, 0);
  let weights = new Float64Array(width);
  weights[width - 1] = startingIntercept(loss, target, sampleWeights, totalWeight);
  let current = objective(design, target, sampleWeights, weights, loss, l2);
  for (let iteration = 1; iteration <= maxIterations; iteration++) {
    const { gradient, hessian } = derivatives(
      design,
      target,
      sampleWeights,
      weights,
      current.scores,
      loss,
      l2,
    );
    if (largest(gradient) / totalWeight < tolerance) return result(weights, iteration - 1, true);
    const step = solvePositiveDefinite(hessian, gradient);
    if (step === null) {
      throw new RangeError(
        `The columns are collinear and the penalty l2 is ${l2}; any l2 above 0 settles this.`,
      );
    }
    let scale = 1;
    let next = weights;
    let after = current;
    do {
      next = weights.map((weight, index) => weight - scale * (step[index] as number));
      after = objective(design, target, sampleWeights, next, loss, l2);
      scale /= 2;
    } while (after.value > current.value && scale > 1e-6);
    const gained = current.value - after.value;
    if (!(gained >= 0)) return result(weights, iteration, true);
    weights = next;
    current = after;
    options.report?.(iteration, current.value / totalWeight);
    if (gained <= 1e-13 * Math.abs(current.value)) return result(weights, iteration, true);
  }
  return result(weights, maxIterations, false);
}

/** `x · weights + intercept` for each row: the prediction under squared loss, the log-odds under logistic loss. */
export function scoresOf(design: Design, fit: Pick<LinearFit, "weights" | "intercept">): Float64Array {
  const all = new Float64Array(fit.weights.length + 1);
  all.set(fit.weights);
  all[fit.weights.length] = fit.intercept;
  return scores(design, all);
}

/** Without overflow at either end. */
export function sigmoid(score: number): number {
  if (score >= 0) return 1 / (1 + Math.exp(-score));
  const power = Math.exp(score);
  return power / (1 + power);
}

function result(all: Float64Array, iterations: number, converged: boolean): LinearFit {
  return { weights: all.slice(0, -1), intercept: all.at(-1) ?? 0, iterations, converged };
}

/** The best constant, so that Newton's method starts near. */
function startingIntercept(
  loss: FitOptions["loss"],
  target: Float64Array,
  sampleWeights: Float64Array,
  totalWeight: number,
): number {
  let sum = 0;
  for (let row = 0; row < target.length; row++)
    sum += (target[row] as number) * (sampleWeights[row] as number);
  const mean = sum / totalWeight;
  if (loss === "squared") return mean;
  const bounded = Math.min(Math.max(mean, 1e-6), 1 - 1e-6);
  return Math.log(bounded / (1 - bounded));
}

function widthOf(design: Design): number {
  return design.dense.length + design.categorical.reduce((sum, { levels }) => sum + levels, 0) + 1;
}

function scores(design: Design, weights: Float64Array): Float64Array {
  const sums = new Float64Array(design.rows).fill(weights.at(-1) ?? 0);
  design.dense.forEach((column, index) => {
    const weight = weights[index] as number;
    for (let row = 0; row < sums.length; row++) (sums[row] as number) += weight * (column[row] as number);
  });
  let offset = design.dense.length;
  for (const { codes, levels } of design.categorical) {
    for (let row = 0; row < sums.length; row++) {
      const code = codes[row] as number;
      if (code >= 0) (sums[row] as number) += weights[offset + code] as number;
    }
    offset += levels;
  }
  return sums;
}

function objective(
  design: Design,
  target: Float64Array,
  sampleWeights: Float64Array,
  weights: Float64Array,
  loss: FitOptions["loss"],
  l2: number,
): { value: number; scores: Float64Array } {
  const rowScores = scores(design, weights);
  let value = 0;
  for (let row = 0; row < design.rows; row++) {
    const score = rowScores[row] as number;
    const wanted = target[row] as number;
    const rowLoss =
      loss === "squared"
        ? 0.5 * (score - wanted) ** 2
        : Math.max(score, 0) - score * wanted + Math.log1p(Math.exp(-Math.abs(score)));
    value += (sampleWeights[row] as number) * rowLoss;
  }
  for (let index = 0; index < weights.length - 1; index++)
    value += 0.5 * l2 * (weights[index] as number) ** 2;
  return { value, scores: rowScores };
}

function derivatives(
  design: Design,
  target: Float64Array,
  sampleWeights: Float64Array,
  weights: Float64Array,
  rowScores: Float64Array,
  loss: FitOptions["loss"],
  l2: number,
): { gradient: Float64Array; hessian: Float64Array } {
  const width = weights.length;
  const gradient = new Float64Array(width);
  const hessian = new Float64Array(width * width);
  const entries = design.dense.length + design.categorical.length + 1;
  const columns = new Int32Array(entries);
  const values = new Float64Array(entries);
  for (let row = 0; row < design.rows; row++) {
    const active = gather(design, row, width, columns, values);
    const score = rowScores[row] as number;
    const predicted = loss === "squared" ? score : sigmoid(score);
    const weight = sampleWeights[row] as number;
    const slope = weight * (predicted - (target[row] as number));
    const curvature = loss === "squared" ? weight : weight * predicted * (1 - predicted);
    for (let i = 0; i < active; i++) {
      const column = columns[i] as number;
      const value = values[i] as number;
      (gradient[column] as number) += slope * value;
      const start = column * width;
      // Columns ascend, so this fills the lower triangle, which is all that the solver reads.
      for (let j = 0; j <= i; j++)
        (hessian[start + (columns[j] as number)] as number) += curvature * value * (values[j] as number);
    }
  }
  for (let index = 0; index < width - 1; index++) {
    (gradient[index] as number) += l2 * (weights[index] as number);
    (hessian[index * width + index] as number) += l2;
  }
  return { gradient, hessian };
}

/** The columns of one row that are not zero, ascending. @returns how many. */
function gather(
  design: Design,
  row: number,
  width: number,
  columns: Int32Array,
  values: Float64Array,
): number {
  let count = 0;
  for (; count < design.dense.length; count++) {
    columns[count] = count;
    values[count] = (design.dense[count] as Float64Array)[row] as number;
  }
  let offset = design.dense.length;
  for (const { codes, levels } of design.categorical) {
    const code = codes[row] as number;
    if (code >= 0) {
      columns[count] = offset + code;
      values[count] = 1;
      count++;
    }
    offset += levels;
  }
  columns[count] = width - 1;
  values[count] = 1;
  return count + 1;
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function checkLengths(design: Design, target: Float64Array, sampleWeights: Float64Array): void {
  const lengths = [target, sampleWeights, ...design.dense, ...design.categorical.map(({ codes }) => codes)];
  const wrong = lengths.find((values) => values.length !== design.rows);
  if (wrong !== undefined)
    throw new RangeError(`A column has ${wrong.length} values; the design has ${design.rows} rows.`);
}

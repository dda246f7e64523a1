/** How well probabilities of a binary outcome fit what came. */
export interface BinaryMetrics {
  readonly rows: number;
  readonly positives: number;
  /** Mean negative log-likelihood, in nats; probabilities are clipped at 1e-15. */
  readonly logLoss: number;
  /** Area under the ROC curve, ties counted half; null when only one class is there. */
  readonly auc: number | null;
  /** Mean precision over the recalls (scikit-learn's average_precision_score); null without positives. */
  readonly averagePrecision: number | null;
  /** Mean squared difference of probability and outcome. */
  readonly brier: number;
  readonly accuracy: number;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly f1: number | null;
}

export interface RegressionMetrics {
  readonly rows: number;
  readonly rmse: number;
  readonly mae: number;
  /** Null when the target does not vary. */
  readonly r2: number | null;
  /** Mean of predicted minus true. */
  readonly bias: number;
  /** Mean pinball loss (scikit-learn's mean_pinball_loss) at the quantile that is predicted, else at the median. */
  readonly quantileLoss: number;
}

/** Of the rows whose probability fell into one of ten equal intervals. */
export interface CalibrationBin {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  readonly meanProbability: number | null;
  readonly positiveShare: number | null;
}

/**
 * @param labels 0 or 1 per row
 * @param probabilities of a 1, per row
 * @param threshold from which a probability counts as a 1; 0.5 by default
 */
export function binaryMetrics(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  threshold = 0.5,
): BinaryMetrics {
  const rows = labels.length;
  let logLoss = 0;
  let brier = 0;
  let truePositives = 0;
  let predictedPositives = 0;
  let positives = 0;
  for (let row = 0; row < rows; row++) {
    const label = labels[row] as number;
    const probability = probabilities[row] as number;
    const likelihood = label === 1 ? probability : 1 - probability;
    logLoss -= Math.log(Math.max(likelihood, 1e-15));
    brier += (probability - label) ** 2;
    positives += label;
    if (probability >= threshold) {
      predictedPositives++;
      truePositives += label;
    }
  }
  const falseNegatives = positives - truePositives;
  const trueNegatives = rows - predictedPositives - falseNegatives;
  const precision = predictedPositives === 0 ? null : truePositives / predictedPositives;
  const recall = positives === 0 ? null : truePositives / positives;
  const f1 =
    positives + predictedPositives === 0 ? null : (2 * truePositives) / (positives + predictedPositives);
  return {
    rows,
    positives,
    logLoss: logLoss / rows,
    brier: brier / rows,
    accuracy: (truePositives + trueNegatives) / rows,
    precision,
    recall,
    f1,
    ...ranking(labels, probabilities, positives),
  };
}

/** Both from one pass over the rows in descending order of probability, a group of equal ones at a time. */
function ranking(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  positives: number,
): Pick<BinaryMetrics, "auc" | "averagePrecision"> {
  const rows = labels.length;
  const negatives = rows - positives;
  const order = new Uint32Array(rows).map((_, index) => index);
  order.sort((a, b) => (probabilities[b] as number) - (probabilities[a] as number));
  let above = 0; // positives ranked so far
  let concordant = 0;
  let precisionSum = 0;
  for (let start = 0; start < rows; ) {
    const probability = probabilities[order[start] as number];
    let end = start;
    let groupPositives = 0;
    while (end < rows && probabilities[order[end] as number] === probability) {
      groupPositives += labels[order[end] as number] as number;
      end++;
    }
    const groupNegatives = end - start - groupPositives;
    concordant += groupNegatives * (above + groupPositives / 2);
    above += groupPositives;
    precisionSum += groupPositives * (above / end);
    start = end;
  }
  return {
    auc: positives === 0 || negatives === 0 ? null : concordant / positives / negatives,
    averagePrecision: positives === 0 ? null : precisionSum / positives,
  };
}

/** Ten bins of equal width over the probabilities. */
export function calibration(labels: ArrayLike<number>, probabilities: ArrayLike<number>): CalibrationBin[] {
  const bins = Array.from({ length: 10 }, () => ({ rows: 0, probability: 0, positives: 0 }));
  for (let row = 0; row < labels.length; row++) {
    const probability = probabilities[row] as number;
    const bin = bins[Math.min(9, Math.max(0, Math.floor(probability * 10)))];
    if (bin === undefined) continue; // NaN
    bin.rows++;
    bin.probability += probability;
    bin.positives += labels[row] as number;
  }
  return bins.map(({ rows, probability, positives }, index) => ({
    from: index / 10,
    to: (index + 1) / 10,
    rows,
    meanProbability: rows === 0 ? null : probability / rows,
    positiveShare: rows === 0 ? null : positives / rows,
  }));
}

/**
 * @param target what came, per row
 * @param predicted what was said, per row
 * @param quantile which one of the target was predicted
 */
export function regressionMetrics(
  target: ArrayLike<number>,
  predicted: ArrayLike<number>,
  quantile = 0.5,
): RegressionMetrics {
  const rows = target.length;
  let mean = 0;
  for (let row = 0; row < rows; row++) mean += (target[row] as number) / rows;
  let squared = 0;
  let absolute = 0;
  let bias = 0;
  let variation = 0;
  let pinball = 0;
  for (let row = 0; row < rows; row++) {
    const error = (predicted[row] as number) - (target[row] as number);
    squared += error ** 2;
    absolute += Math.abs(error);
    bias += error;
    pinball += error > 0 ? (1 - quantile) * error : -quantile * error;
    variation += ((target[row] as number) - mean) ** 2;
  }
  return {
    rows,
    rmse: Math.sqrt(squared / rows),
    mae: absolute / rows,
    r2: variation === 0 ? null : 1 - squared / variation,
    bias: bias / rows,
    quantileLoss: pinball / rows,
  };
}

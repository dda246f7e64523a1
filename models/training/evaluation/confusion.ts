/** What a threshold makes of probabilities: from it on they count as a 1. */
export interface Confusion {
  readonly threshold: number;
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly trueNegatives: number;
  readonly falseNegatives: number;
}

const steps = 20;

/** At 0.05, 0.1, … 0.95. */
export function confusionAtThresholds(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
): Confusion[] {
  const thresholds = Array.from({ length: steps - 1 }, (_, index) => (index + 1) / steps);
  const found = thresholds.map(() => ({ truePositives: 0, falsePositives: 0 }));
  let positives = 0;
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row] as number;
    const probability = probabilities[row] as number;
    positives += label;
    for (let index = 0; index < thresholds.length && probability >= (thresholds[index] as number); index++) {
      const counts = found[index];
      if (counts === undefined) continue;
      counts.truePositives += label;
      counts.falsePositives += 1 - label;
    }
  }
  const negatives = labels.length - positives;
  return found.map(({ truePositives, falsePositives }, index) => ({
    threshold: thresholds[index] ?? 0,
    truePositives,
    falsePositives,
    trueNegatives: negatives - falsePositives,
    falseNegatives: positives - truePositives,
  }));
}

/** Of rows with neighbouring predictions: what was said and what came. */
export interface PredictionGroup {
  readonly rows: number;
  readonly meanPredicted: number;
  readonly meanTarget: number;
}

const groups = 10;

/** Ten groups of as many rows each, by the size of the prediction. */
export function predictionGroups(target: Float64Array, predicted: Float64Array): PredictionGroup[] {
  const order = new Uint32Array(target.length).map((_, row) => row);
  order.sort((a, b) => (predicted[a] as number) - (predicted[b] as number) || a - b);
  return Array.from({ length: groups }, (_, group) => {
    const own = order.subarray(
      Math.floor((group * order.length) / groups),
      Math.floor(((group + 1) * order.length) / groups),
    );
    let said = 0;
    let came = 0;
    for (const row of own) {
      said += predicted[row] as number;
      came += target[row] as number;
    }
    return { rows: own.length, meanPredicted: said / own.length, meanTarget: came / own.length };
  }).filter(({ rows }) => rows > 0);
}

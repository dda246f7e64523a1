import type { PredictionGroup } from "../evaluation/confusion.ts";
import type { CalibrationBin } from "../evaluation/evaluation.ts";

export interface RocPoint {
  readonly falsePositiveRate: number;
  readonly truePositiveRate: number;
}

const maxPoints = 200;

/** The receiver operating characteristic, thinned to some 200 points; empty when only one class is there. */
export function rocCurve(labels: Float64Array, probabilities: Float64Array): RocPoint[] {
  const rows = labels.length;
  const positives = labels.reduce((sum, label) => sum + label, 0);
  const negatives = rows - positives;
  if (positives === 0 || negatives === 0) return [];
  const order = new Uint32Array(rows).map((_, index) => index);
  order.sort((a, b) => (probabilities[b] as number) - (probabilities[a] as number));
  const points: RocPoint[] = [{ falsePositiveRate: 0, truePositiveRate: 0 }];
  let truePositives = 0;
  let due = 0;
  for (let seen = 0; seen < rows; seen++) {
    truePositives += labels[order[seen] as number] as number;
    const last = seen === rows - 1;
    const tied = !last && probabilities[order[seen + 1] as number] === probabilities[order[seen] as number];
    if (tied || (!last && seen < due)) continue;
    due = seen + rows / maxPoints;
    points.push({
      falsePositiveRate: (seen + 1 - truePositives) / negatives,
      truePositiveRate: truePositives / positives,
    });
  }
  return points;
}

/** Two drawings side by side: the ROC curve, and the share of 1s against the predicted probability. */
export function evaluationPicture(roc: readonly RocPoint[], bins: readonly CalibrationBin[]): string {
  const curve = roc.map(({ falsePositiveRate, truePositiveRate }) =>
    point(falsePositiveRate, truePositiveRate),
  );
  const most = Math.max(1, ...bins.map(({ rows }) => rows));
  const dots = bins.flatMap(({ meanProbability, positiveShare, rows }) => {
    if (meanProbability === null || positiveShare === null) return [];
    const [x, y] = point(meanProbability, positiveShare).split(",");
    const radius = (2 + 5 * Math.sqrt(rows / most)).toFixed(1);
    return [`<circle cx="${x}" cy="${y}" r="${radius}" fill="#2563eb"><title>${rows} rows</title></circle>`];
  });
  return [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 520 270" font-family="sans-serif" font-size="11">',
    '<rect width="520" height="270" fill="white"/>',
    `<g transform="translate(40,25)">${frame("ROC curve", "false positive rate", "true positive rate")}`,
    `<polyline fill="none" stroke="#2563eb" stroke-width="2" points="${curve.join(" ")}"/></g>`,
    `<g transform="translate(300,25)">${frame("Calibration", "predicted probability", "share of 1")}`,
    `${dots.join("")}</g>`,
    "</svg>",
  ].join("\n");
}

/** What came against what was said, of ten groups of rows: on the diagonal the predictions are right on average. */
export function regressionPicture(groups: readonly PredictionGroup[]): string {
  const values = groups.flatMap(({ meanPredicted, meanTarget }) => [meanPredicted, meanTarget]);
  const low = Math.min(...values);
  const width = Math.max(...values) - low || 1;
  const dots = groups.map(({ meanPredicted, meanTarget, rows }) => {
    const [x, y] = point((meanPredicted - low) / width, (meanTarget - low) / width).split(",");
    return `<circle cx="${x}" cy="${y}" r="4" fill="#2563eb"><title>${rows} rows: ${meanPredicted.toPrecision(4)} said, ${meanTarget.toPrecision(4)} came</title></circle>`;
  });
  const ticks = [0, 0.5, 1].map((tick) => Number((low + tick * width).toPrecision(3)));
  return [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 260 270" font-family="sans-serif" font-size="11">',
    '<rect width="260" height="270" fill="white"/>',
    `<g transform="translate(40,25)">${frame("Predicted and true means", "predicted", "true", ticks)}`,
    `${dots.join("")}</g>`,
    "</svg>",
  ].join("\n");
}

const side = 200;

function point(x: number, y: number): string {
  return `${(x * side).toFixed(1)},${((1 - y) * side).toFixed(1)}`;
}

function frame(title: string, x: string, y: string, ticks: readonly number[] = [0, 0.5, 1]): string {
  return [
    `<rect width="${side}" height="${side}" fill="none" stroke="#999"/>`,
    `<line x1="0" y1="${side}" x2="${side}" y2="0" stroke="#bbb" stroke-dasharray="4"/>`,
    `<text x="${side / 2}" y="-8" text-anchor="middle" font-weight="bold">${title}</text>`,
    `<text x="${side / 2}" y="${side + 28}" text-anchor="middle">${x}</text>`,
    `<text transform="translate(-26,${side / 2}) rotate(-90)" text-anchor="middle">${y}</text>`,
    ...ticks.map(
      (tick, index) => `<text x="${(index / 2) * side}" y="${side + 13}" text-anchor="middle">${tick}</text>`,
    ),
    ...ticks.map(
      (tick, index) => `<text x="-5" y="${(1 - index / 2) * side + 4}" text-anchor="end">${tick}</text>`,
    ),
  ].join("");
}

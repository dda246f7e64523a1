import { sigmoid } from "../linear/newton.ts";
import type { BoostingLoss } from "./settings.ts";

/**
 * A loss that trees go down: the score from which to start, the slope and curvature at a score, and how a score becomes
 * a prediction. Scores of several classes lie side by side: `row * outputs + class`.
 */
export interface Loss {
  readonly outputs: number;
  /** Which Hessian a row of weight 1 has at most; null where nothing bounds it. */
  readonly maxHessian: number | null;
  start(target: Float64Array, weights: Float64Array | null, rows: Int32Array): Float64Array;
  /** Writes slope and curvature of every row for one output. */
  derivatives(
    target: Float64Array,
    weights: Float64Array | null,
    scores: Float64Array,
    output: number,
    gradients: Float64Array,
    hessians: Float64Array,
  ): void;
  /** The loss of one row, for its score or the first of its scores. */
  value(target: number, scores: Float64Array, at: number): number;
  /** Where the best value of a leaf is not a Newton step: the best constant for what is left of the targets. */
  readonly leafQuantile: number | null;
  /** From the scores of a row to its predictions, in place. */
  link(scores: Float64Array): void;
}

const maxLogOdds = 30;

export function lossOf(loss: BoostingLoss, target: Float64Array): Loss {
  if (loss.kind === "logistic") return logistic;
  if (loss.kind === "softmax") return softmax(loss.classes);
  if (loss.kind === "poisson") return poisson;
  if (loss.kind === "quantile") return quantileLoss(loss.quantile);
  if (loss.kind === "huber") return huber(loss.delta ?? robustScale(target));
  return squared;
}

const none = () => undefined;

const squared: Loss = {
  outputs: 1,
  maxHessian: 1,
  leafQuantile: null,
  link: none,
  start: (target, weights, rows) => Float64Array.of(mean(target, weights, rows)),
  value: (target, scores, at) => 0.5 * (target - (scores[at] as number)) ** 2,
  derivatives(target, weights, scores, _output, gradients, hessians) {
    for (let row = 0; row < target.length; row++) {
      const weight = weights === null ? 1 : (weights[row] as number);
      gradients[row] = weight * ((scores[row] as number) - (target[row] as number));
      hessians[row] = weight;
    }
  },
};

const logistic: Loss = {
  outputs: 1,
  maxHessian: 0.25,
  leafQuantile: null,
  link(scores) {
    for (let row = 0; row < scores.length; row++) scores[row] = sigmoid(scores[row] as number);
  },
  start(target, weights, rows) {
    const share = mean(target, weights, rows);
    return Float64Array.of(bounded(Math.log(share / (1 - share))));
  },
  value(target, scores, at) {
    const score = scores[at] as number;
    return Math.max(score, 0) - score * target + Math.log1p(Math.exp(-Math.abs(score)));
  },
  derivatives(target, weights, scores, _output, gradients, hessians) {
    for (let row = 0; row < target.length; row++) {
      const probability = 1 / (1 + Math.exp(-(scores[row] as number)));
      const weight = weights === null ? 1 : (weights[row] as number);
      gradients[row] = weight * (probability - (target[row] as number));
      hessians[row] = weight * probability * (1 - probability);
    }
  },
};

/** Through a logarithm; the loss leaves out what does not depend on the score. */
const poisson: Loss = {
  outputs: 1,
  maxHessian: null,
  leafQuantile: null,
  link(scores) {
    for (let row = 0; row < scores.length; row++) scores[row] = Math.exp(scores[row] as number);
  },
  start: (target, weights, rows) => Float64Array.of(bounded(Math.log(mean(target, weights, rows)))),
  value: (target, scores, at) => Math.exp(scores[at] as number) - target * (scores[at] as number),
  derivatives(target, weights, scores, _output, gradients, hessians) {
    for (let row = 0; row < target.length; row++) {
      const expected = Math.exp(scores[row] as number);
      const weight = weights === null ? 1 : (weights[row] as number);
      gradients[row] = weight * (expected - (target[row] as number));
      hessians[row] = weight * expected;
    }
  },
};

/** The pinball loss. Its curvature is 0, so trees are grown with 1 and their leaves take the quantile of the rest. */
function quantileLoss(quantile: number): Loss {
  return {
    ...squared,
    leafQuantile: quantile,
    start: (target, weights, rows) =>
      Float64Array.of(
        weightedQuantile(
          Float64Array.from(rows, (row) => target[row] as number),
          weights === null ? null : Float64Array.from(rows, (row) => weights[row] as number),
          quantile,
        ),
      ),
    value(target, scores, at) {
      const over = target - (scores[at] as number);
      return over >= 0 ? quantile * over : (quantile - 1) * over;
    },
    derivatives(target, weights, scores, _output, gradients, hessians) {
      for (let row = 0; row < target.length; row++) {
        const weight = weights === null ? 1 : (weights[row] as number);
        gradients[row] =
          weight * ((scores[row] as number) < (target[row] as number) ? -quantile : 1 - quantile);
        hessians[row] = weight;
      }
    },
  };
}

/** The curvature is that of the parabola that touches the loss from above, so no step goes up (Huber's own weights). */
function huber(delta: number): Loss {
  return {
    ...squared,
    start: (target, weights, rows) => {
      let centre = mean(target, weights, rows);
      for (let step = 0; step < 50; step++) {
        let sum = 0;
        let total = 0;
        for (const row of rows) {
          const distance = Math.abs((target[row] as number) - centre);
          const weight =
            (weights === null ? 1 : (weights[row] as number)) * (distance <= delta ? 1 : delta / distance);
          sum += weight * (target[row] as number);
          total += weight;
        }
        if (sum / total === centre) break;
        centre = sum / total;
      }
      return Float64Array.of(centre);
    },
    value(target, scores, at) {
      const distance = Math.abs(target - (scores[at] as number));
      return distance <= delta ? 0.5 * distance ** 2 : delta * (distance - delta / 2);
    },
    derivatives(target, weights, scores, _output, gradients, hessians) {
      for (let row = 0; row < target.length; row++) {
        const weight = weights === null ? 1 : (weights[row] as number);
        const over = (scores[row] as number) - (target[row] as number);
        const distance = Math.abs(over);
        const share = distance <= delta ? 1 : delta / distance;
        gradients[row] = weight * share * over;
        hessians[row] = weight * share;
      }
    },
  };
}

function softmax(classes: number): Loss {
  return {
    outputs: classes,
    maxHessian: 0.25,
    leafQuantile: null,
    link(scores) {
      for (let at = 0; at < scores.length; at += classes) {
        const whole = logSum(scores, at, classes);
        for (let k = 0; k < classes; k++) scores[at + k] = Math.exp((scores[at + k] as number) - whole);
      }
    },
    start(target, weights, rows) {
      const sums = new Float64Array(classes);
      let total = 0;
      for (const row of rows) {
        const weight = weights === null ? 1 : (weights[row] as number);
        (sums[target[row] as number] as number) += weight;
        total += weight;
      }
      return sums.map((sum) => bounded(Math.log(sum / total)));
    },
    value: (target, scores, at) => logSum(scores, at, classes) - (scores[at + target] as number),
    derivatives(target, weights, scores, output, gradients, hessians) {
      for (let row = 0; row < target.length; row++) {
        const at = row * classes;
        const probability = Math.exp((scores[at + output] as number) - logSum(scores, at, classes));
        const weight = weights === null ? 1 : (weights[row] as number);
        gradients[row] = weight * (probability - (target[row] === output ? 1 : 0));
        hessians[row] = weight * probability * (1 - probability);
      }
    },
  };
}

function logSum(scores: Float64Array, at: number, classes: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < classes; k++) most = Math.max(most, scores[at + k] as number);
  let sum = 0;
  for (let k = 0; k < classes; k++) sum += Math.exp((scores[at + k] as number) - most);
  return most + Math.log(sum);
}

function mean(target: Float64Array, weights: Float64Array | null, rows: Int32Array): number {
  let sum = 0;
  let total = 0;
  for (const row of rows) {
    const weight = weights === null ? 1 : (weights[row] as number);
    sum += weight * (target[row] as number);
    total += weight;
  }
  return sum / total;
}

function bounded(score: number): number {
  return Math.min(Math.max(score, -maxLogOdds), maxLogOdds);
}

/** The smallest value that so much of the weight does not exceed, half-way to the next where it is met exactly. */
export function weightedQuantile(
  values: Float64Array,
  weights: Float64Array | null,
  quantile: number,
): number {
  if (weights === null) {
    const sorted = values.toSorted();
    const place = quantile * (sorted.length - 1);
    const low = sorted[Math.floor(place)] ?? 0;
    return low + (place - Math.floor(place)) * ((sorted[Math.ceil(place)] ?? low) - low);
  }
  const order = new Uint32Array(values.length).map((_, index) => index);
  order.sort((a, b) => (values[a] as number) - (values[b] as number));
  const wanted = quantile * weights.reduce((sum, weight) => sum + weight, 0);
  let seen = 0;
  for (const index of order) {
    seen += weights[index] as number;
    if (seen >= wanted) return values[index] as number;
  }
  return values[order.at(-1) ?? 0] ?? 0;
}

/** 1.345 deviations by the median: 95 % as good as squares where errors are normal (Huber, 1964). */
function robustScale(target: Float64Array): number {
  const centre = weightedQuantile(target, null, 0.5);
  const deviation =
    1.4826 *
    weightedQuantile(
      target.map((value) => Math.abs(value - centre)),
      null,
      0.5,
    );
  return deviation > 0 ? 1.345 * deviation : 1;
}

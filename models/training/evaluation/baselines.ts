import { lossFor, lossNames } from "../comparison/losses.ts";
import type { Recipe } from "../data/recipe.ts";
import type { TrainingRows } from "../data/training-rows.ts";
import type { Baselines } from "../schemas.ts";

/**
 * What predicts without looking at a row: the mean of the training rows (for classes the share of 1s, for a quantile that
 * quantile), and with a split by time their last value. Judged on the holdout by the loss that decides on promotion.
 */
export function baselinesOf(
  rows: Pick<TrainingRows, "target" | "lastTarget">,
  recipe: Recipe,
  target: Float64Array,
  predicted: ArrayLike<number>,
): Baselines {
  const { metric, loss } = lossFor(recipe);
  const meanLoss = (predictionOf: (row: number) => number) => {
    let sum = 0;
    for (let row = 0; row < target.length; row++) sum += loss(target[row] as number, predictionOf(row));
    return sum / target.length;
  };
  const constants = [constantOf(rows.target, recipe)];
  if (recipe.task === "regression" && rows.lastTarget !== null) {
    constants.push({ name: "last value", value: rows.lastTarget });
  }
  const model = meanLoss((row) => predicted[row] as number);
  const baselines = constants.map(({ name, value }) => ({ name, value, loss: meanLoss(() => value) }));
  return { metric, model, baselines, beaten: baselines.every((baseline) => model < baseline.loss) };
}

function constantOf(target: Float64Array, { task, quantile }: Recipe): { name: string; value: number } {
  if (quantile !== undefined) {
    const sorted = target.toSorted();
    const value = sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? 0;
    return { name: `quantile ${quantile}`, value };
  }
  const mean = target.reduce((sum, value) => sum + value, 0) / target.length;
  return { name: task === "binary" ? "share of 1s" : "mean", value: mean };
}

/** One sentence on how the model stands to its baselines. */
export function baselinesText({ metric, model, baselines, beaten }: Baselines): string {
  const shown = (value: number) => Number(value.toPrecision(4));
  const others = baselines.map(({ name, value, loss }) => `${shown(loss)} of the ${name} (${shown(value)})`);
  return `${lossNames[metric]} ${shown(model)} against ${others.join(" and ")}: the model ${beaten ? "is better" : "does not beat that"}.`;
}

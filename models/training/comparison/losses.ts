import type { Recipe } from "../data/recipe.ts";
import type { Comparison } from "../schemas.ts";

export const lossNames = {
  logLoss: "Log loss",
  squaredError: "Mean squared error",
  quantileLoss: "Mean quantile loss",
} as const;

/** By what models that answer a question are told apart, row by row. */
export function lossFor({ task, quantile }: Pick<Recipe, "task" | "quantile">): {
  readonly metric: Comparison["metric"];
  readonly loss: (target: number, predicted: number) => number;
} {
  if (task === "binary") return { metric: "logLoss", loss: logLoss };
  if (quantile === undefined) return { metric: "squaredError", loss: squaredError };
  return { metric: "quantileLoss", loss: (target, predicted) => quantileLoss(target, predicted, quantile) };
}

/** Clipped as in the evaluation. */
function logLoss(label: number, probability: number): number {
  return -Math.log(Math.max(label === 1 ? probability : 1 - probability, 1e-15));
}

function squaredError(target: number, predicted: number): number {
  return (predicted - target) ** 2;
}

/** scikit-learn's mean_pinball_loss. */
function quantileLoss(target: number, predicted: number, quantile: number): number {
  const over = target - predicted;
  return over >= 0 ? quantile * over : (quantile - 1) * over;
}

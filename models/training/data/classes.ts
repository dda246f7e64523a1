import { invalid } from "../../../shared/errors.ts";
import type { FitRequest } from "../fitting/trainer.ts";
import type { Algorithm } from "../schemas.ts";
import type { TrainingRows } from "./training-rows.ts";

/** @throws invalid unless a binary target has both of its classes */
export function checkClasses({ target, rows }: TrainingRows, task: FitRequest["task"]): void {
  if (task === "regression") return;
  let ones = 0;
  for (const value of target) {
    if (value !== 0 && value !== 1) {
      throw invalid(
        `target: the value ${value} is neither 0 nor 1; greaterThan or equals makes two classes of it.`,
        { field: "target" },
      );
    }
    ones += value;
  }
  if (ones === 0 || ones === rows) {
    throw invalid(
      `target: all ${rows} training rows are of the class ${ones === 0 ? 0 : 1}; there is nothing to tell apart.`,
      { field: "target" },
    );
  }
}

/** A weight per row; undefined where every row counts alike. */
export function weightsOfClasses(
  { target, rows }: TrainingRows,
  { classWeights }: Pick<Extract<Algorithm, { kind: "logistic" }>, "classWeights">,
): Float64Array | undefined {
  if (classWeights === "none") return undefined;
  const ones = target.reduce((sum, value) => sum + value, 0);
  const { negative, positive } =
    classWeights === "balanced"
      ? { negative: rows / (2 * (rows - ones)), positive: rows / (2 * ones) }
      : classWeights;
  return target.map((value) => (value === 1 ? positive : negative));
}

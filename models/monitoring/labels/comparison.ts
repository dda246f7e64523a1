import type { Labelled } from "../schemas.ts";

type Label = number | string | boolean;

/** Adds up how wrong predictions were, in memory that does not grow with their number but for the lags. */
export interface LabelComparison {
  /** A row that was predicted, whether or not it has a label. */
  predicted(): void;
  labelled(prediction: unknown, label: Label, lagMs: number): void;
  result(): Labelled;
}

/** At most so many distinct whole numbers are classes. */
const maxClasses = 20;

export function createLabelComparison(): LabelComparison {
  let predictions = 0;
  let labels = 0;
  let wrong = 0;
  let isText = false;
  let errors = 0;
  let finite = 0;
  /** Distinct numbers on both sides, one more than classes may have at most. */
  const numbers = new Set<number>();
  const lags: number[] = [];
  return {
    predicted() {
      predictions++;
    },
    labelled(prediction, label, lagMs) {
      labels++;
      lags.push(lagMs);
      if (textOf(prediction) !== textOf(label)) wrong++;
      if (typeof prediction === "string" || typeof label === "string") isText = true;
      for (const number of [Number(prediction), Number(label)]) {
        if (numbers.size <= maxClasses) numbers.add(number);
      }
      const error = Math.abs(Number(prediction) - Number(label));
      if (!Number.isFinite(error)) return;
      errors += error;
      finite++;
    },
    result() {
      const areClasses = numbers.size <= maxClasses && [...numbers].every(Number.isInteger);
      const error: Pick<Labelled, "metric" | "value"> =
        labels === 0
          ? { metric: null, value: null }
          : isText || areClasses
            ? { metric: "error_rate", value: wrong / labels }
            : { metric: "mean_absolute_error", value: finite === 0 ? null : errors / finite };
      return {
        labels,
        predictions,
        coverage: predictions === 0 ? 0 : labels / predictions,
        ...error,
        medianLagMs: lags.sort((a, b) => a - b)[Math.floor(lags.length / 2)] ?? null,
      };
    },
  };
}

/** Classes compare as text; a truth value is the class 0 or 1. */
function textOf(value: unknown): string {
  return typeof value === "boolean" ? String(Number(value)) : String(value);
}

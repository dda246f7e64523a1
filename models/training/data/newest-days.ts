import { invalid } from "../../../shared/errors.ts";
import type { ColumnProfile } from "../../datasets/index.ts";
import type { Split, TrainingRequest, TrainingSpec } from "../schemas.ts";

const dayMs = 86_400_000;
/** A period ends before its `to`: this much after the last row it holds that too. */
const afterLastMs = 1000;

/**
 * The request with fixed periods in place of `holdoutDays`: the newest days of this version of the data are the holdout.
 * What is trained, and written down, is then repeatable however the data grows.
 *
 * @param profileOf of the version that is trained on
 * @throws invalid when the column has no times, or all of them lie in the holdout
 */
export async function withFixedPeriods(
  request: TrainingRequest,
  profileOf: () => Promise<readonly ColumnProfile[] | null>,
): Promise<TrainingSpec> {
  const { split } = request;
  if (!("holdoutDays" in split)) return { ...request, split };
  return { ...request, split: fixedPeriods(split, (await profileOf()) ?? []) };
}

function fixedPeriods(
  { timeColumn, holdoutDays, trainDays }: Extract<TrainingRequest["split"], { holdoutDays: number }>,
  profile: readonly ColumnProfile[],
): Split {
  const column = profile.find(({ name }) => name === timeColumn);
  if (column === undefined) {
    throw invalid(`split.timeColumn: the data set has no column "${timeColumn}".`);
  }
  if (column.kind !== "time") throw invalid(`split.timeColumn: "${timeColumn}" is not a column of times.`);
  if (column.min === null || column.max === null) {
    throw invalid(`split.timeColumn: "${timeColumn}" has no time in any row.`);
  }
  const firstMs = Date.parse(column.min);
  const endMs = Date.parse(column.max) + afterLastMs;
  const holdoutMs = Math.round(endMs - holdoutDays * dayMs);
  const trainMs =
    trainDays === undefined ? firstMs : Math.max(firstMs, Math.round(holdoutMs - trainDays * dayMs));
  if (trainMs >= holdoutMs) {
    throw invalid(
      `split.holdoutDays is ${holdoutDays}, but "${timeColumn}" reaches from ${column.min} to ${column.max} only: nothing before the holdout is left to train on.`,
    );
  }
  const text = (ms: number) => new Date(ms).toISOString();
  return {
    timeColumn,
    train: { from: text(trainMs), to: text(holdoutMs) },
    holdout: { from: text(holdoutMs), to: text(endMs) },
  };
}

import {
  buildReferenceProfile,
  type ProfileColumn,
  type ReferenceProfile,
} from "../../shared/statistics/index.ts";
import type { FeatureColumn, TrainingRows } from "./data/training-rows.ts";
import type { TrainingSpec } from "./schemas.ts";

const seed = 20_010_101;
/** More rows would not move a quantile, but would take seconds to sort. */
const maxRows = 1_000_000;

/**
 * The yardstick for monitoring: the inputs as the model got them in training, and its outputs on these rows, under the
 * names that captured predictions have (`output:…`, `[1]` for the second column). Beyond a million rows, every second,
 * third, … of them.
 */
export function trainingProfile(
  rows: TrainingRows,
  predicted: Float64Array,
  task: TrainingSpec["task"],
): ReferenceProfile {
  const step = Math.ceil(rows.rows / maxRows);
  const kept = Float64Array.from({ length: Math.ceil(rows.rows / step) }, (_, i) => predicted[i * step] ?? 0);
  const outputs: ProfileColumn[] =
    task === "binary"
      ? [
          { name: "output:probabilities[1]", kind: "numeric", values: kept },
          { name: "output:label", kind: "numeric", values: kept.map((p) => (p >= 0.5 ? 1 : 0)) },
        ]
      : [{ name: "output:prediction", kind: "numeric", values: kept }];
  const inputs = rows.features.map((feature) => profileColumn(feature, step));
  return buildReferenceProfile([...inputs, ...outputs], { seed });
}

function profileColumn(feature: FeatureColumn, step: number): ProfileColumn {
  const { name } = feature;
  if (feature.kind !== "text levels") {
    const { values } = feature;
    return {
      name,
      kind: "numeric",
      values: step === 1 ? values : values.filter((_, row) => row % step === 0),
    };
  }
  const { codes, levels, others } = feature;
  const values = Array.from({ length: Math.ceil(codes.length / step) }, (_, i) => {
    const row = i * step;
    return levels[codes[row] ?? -1]?.value ?? others.get(row) ?? null;
  });
  return { name, kind: "categorical", values };
}

import {
  buildReferenceProfile,
  type ProfileColumn,
  type ReferenceProfile,
} from "../../shared/statistics/index.ts";
import type { FeatureColumn, TrainingRows } from "./data/training-rows.ts";
import type { TrainingSpec } from "./schemas.ts";

const seed = 20_010_101;

/**
 * The yardstick for monitoring: the inputs as the model got them in training, and its outputs on these rows, under the
 * names that captured predictions have (`output:…`, `[1]` for the second column).
 */
export function trainingProfile(
  rows: TrainingRows,
  predicted: Float64Array,
  task: TrainingSpec["task"],
): ReferenceProfile {
  const outputs: ProfileColumn[] =
    task === "binary"
      ? [
          { name: "output:probabilities[1]", kind: "numeric", values: predicted },
          {
            name: "output:label",
            kind: "numeric",
            values: predicted.map((probability) => (probability >= 0.5 ? 1 : 0)),
          },
        ]
      : [{ name: "output:prediction", kind: "numeric", values: predicted }];
  return buildReferenceProfile([...rows.features.map(profileColumn), ...outputs], { seed });
}

function profileColumn(feature: FeatureColumn): ProfileColumn {
  const { name } = feature;
  if (feature.kind !== "text levels") return { name, kind: "numeric", values: feature.values };
  const { codes, levels, others } = feature;
  const values = Array.from(codes, (code, row) => levels[code]?.value ?? others.get(row) ?? null);
  return { name, kind: "categorical", values };
}

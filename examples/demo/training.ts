import type { Client, DemoJob } from "./client.ts";
import { dataset } from "./data.ts";

export const model = "late-flights";

export interface TrainingResult {
  readonly runId: string;
  readonly experimentId: string;
  readonly rows: { readonly train: number; readonly holdout: number };
  readonly metrics: {
    readonly logLoss: number;
    readonly auc: number | null;
    readonly brier: number;
    readonly positives: number;
    readonly rows: number;
  };
  readonly model: { readonly name: string; readonly version: number } | null;
  readonly decision: Decision | null;
}

interface Decision {
  readonly promoted: boolean;
  readonly reason: string;
  readonly champion: number | null;
  readonly comparison: {
    readonly rows: number;
    readonly champion: number;
    readonly challenger: number;
    readonly delta: number;
    readonly low: number;
    readonly high: number;
  } | null;
}

interface Period {
  readonly from: string;
  readonly to: string;
}

/** Trains "will this flight be more than 15 minutes late?" and follows the job. */
export async function trainLateFlights(
  client: Client,
  version: string,
  label: string,
  train: Period,
  holdout: Period,
): Promise<TrainingResult> {
  const training = await client.send<DemoJob>("POST", "/api/v1/training", {
    dataset,
    version,
    task: "binary",
    target: { column: "delay", greaterThan: 15 },
    derive: [
      { name: "hour", from: "date", part: "hour" },
      { name: "weekday", from: "date", part: "dayOfWeek" },
    ],
    features: [
      { column: "hour", kind: "categorical" },
      { column: "weekday", kind: "categorical" },
      { column: "distance" },
      { column: "origin" },
      { column: "destination" },
    ],
    split: { timeColumn: "date", train, holdout },
    slices: ["weekday"],
    registeredModel: model,
  });
  return client.follow<TrainingResult>(
    training,
    label,
    ({ rows, metrics }) =>
      `${rows.train.toLocaleString("en-US")} rows, AUC ${metrics.auc?.toFixed(3)} on ${rows.holdout.toLocaleString("en-US")} later ones`,
  );
}

import { createHash } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { withDuckDb } from "../../../shared/duckdb/index.ts";
import { isKetlineError } from "../../../shared/errors.ts";
import { boostingTrainer } from "../boosting/boosting-trainer.ts";
import { lossFor } from "../comparison/losses.ts";
import type { Recipe } from "../data/recipe.ts";
import { openGraph } from "../evaluation/scoring.ts";
import { metricsOf } from "../evaluation/slices.ts";
import { modelGraph } from "../export/model-graph.ts";
import { linearTrainer } from "../linear/linear-trainer.ts";
import type { Algorithm, TrainingSpec } from "../schemas.ts";
import { type KeyRows, keyRows } from "./key-rows.ts";

export interface KeysTask {
  readonly files: readonly string[];
  readonly scratchDirectory: string;
  readonly spec: TrainingSpec;
  readonly algorithm: Algorithm;
  readonly recipe: Recipe;
  readonly codeVersion: string;
  /** Only these keys; all when not given. */
  readonly only?: readonly number[];
  /** The champion's models of the same question, compressed as in a bundle, by the number of the key. */
  readonly champions: ReadonlyMap<number, { readonly compressed: Uint8Array; readonly sha256: string }>;
  /** What the champion answers for keys that it has no model of; null without a champion that can be asked. */
  readonly championFallback: Uint8Array | null;
}

export interface KeysResult {
  /** The models one behind the other, each compressed by itself. */
  readonly bundle: Uint8Array;
  readonly keys: readonly KeyResult[];
  /** Target and prediction of each row of the holdouts of all trained keys, side by side. */
  readonly scores: Float64Array;
}

export type KeyResult =
  | TrainedKey
  | { readonly key: number; readonly state: "fallback" | "failed"; readonly reason: string };

export interface TrainedKey {
  readonly key: number;
  readonly state: "trained";
  readonly trainRows: number;
  readonly holdoutRows: number;
  /** Sums over the holdout, of the loss that decides. */
  readonly loss: number;
  /** Of the mean of the key's own training rows. */
  readonly baselineLoss: number;
  /** The champion's; null where it has no model that could be asked. */
  readonly championLoss: number | null;
  readonly targetSum: number;
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly disagreement: number;
  readonly offset: number;
  readonly length: number;
  readonly sizeBytes: number;
  /** Of the model as ONNX Runtime gets it. */
  readonly sha256: string;
}

/** Fits a model for each key of a task. A key that cannot be learnt from does not stop the others. */
export default async function fitKeys(
  task: KeysTask,
  report: (done: number, message?: string) => void,
): Promise<KeysResult> {
  const { files, scratchDirectory, recipe, only } = task;
  const wanted = only === undefined ? undefined : new Set(only);
  const models: Uint8Array[] = [];
  const keys: KeyResult[] = [];
  const scores: Float64Array[] = [];
  let offset = 0;
  await withDuckDb({ files, scratchDirectory, threads: 1 }, async (duckDb) => {
    for await (const rows of keyRows(duckDb, files, recipe)) {
      if (wanted !== undefined && !wanted.has(rows.key)) continue;
      try {
        const { model, scored, ...result } = await fitKey(task, rows);
        keys.push({ ...result, offset });
        models.push(model);
        scores.push(scored);
        offset += model.byteLength;
      } catch (error) {
        // What the caller can be told of is no fault of the machine: the rows cannot be learnt from.
        const state = error instanceof TooFewRows ? "fallback" : "failed";
        const reason = error instanceof Error ? error.message : String(error);
        if (state === "failed" && !isKetlineError(error) && !(error instanceof Error)) throw error;
        keys.push({ key: rows.key, state, reason: reason.slice(0, 500) });
      }
      report(keys.length, "");
    }
  });
  return { bundle: joined(models), keys, scores: joinedScores(scores) };
}

class TooFewRows extends Error {}

async function fitKey(task: KeysTask, { key, train, holdout }: KeyRows) {
  const { spec, algorithm, recipe, codeVersion } = task;
  for (const [part, found] of [["train", train.rows] as const, ["holdout", holdout.rows] as const]) {
    const least = spec.minimumRows[part];
    if (found < least)
      throw new TooFewRows(
        `It has ${found} rows of the ${part} part; a model takes ${least} (minimumRows.${part}).`,
      );
  }
  const trainer = algorithm.kind === "boosting" ? boostingTrainer : linearTrainer;
  const fitted = trainer.fit(train, { task: recipe.task, algorithm, report: () => {} });
  const bytes = modelGraph(recipe, fitted.graph(), {
    dataset: spec.dataset,
    datasetVersion: spec.version,
    algorithm: algorithm.kind,
    codeVersion,
    choice: { split: spec.split, where: spec.where, sample: spec.sample, rowKey: spec.rowKey },
  });
  const said = await ask(bytes, recipe, holdout);
  const expected = fitted.predict(holdout.inputs, holdout.rows);
  let disagreement = 0;
  for (let row = 0; row < holdout.rows; row++) {
    const right = expected[row] as number;
    const size = Math.max(1, fitted.magnitude, Math.abs(right));
    const difference = Math.abs((said[row] as number) - right) / size;
    if (!(difference <= disagreement)) disagreement = difference;
  }
  if (!(disagreement <= fitted.tolerance))
    throw new Error(`The graph and the trainer differ by ${disagreement}; ${fitted.tolerance} is allowed.`);
  const predicted = Float64Array.from(said);
  const { loss } = lossFor(recipe);
  const sumOf = (predictionOf: (row: number) => number) => {
    let sum = 0;
    for (let row = 0; row < holdout.rows; row++)
      sum += loss(holdout.target[row] as number, predictionOf(row));
    return sum;
  };
  const constant = train.target.reduce((sum, value) => sum + value, 0) / train.rows;
  const champion = await championsAnswer(task, key, holdout);
  const scored = new Float64Array(2 * holdout.rows);
  for (let row = 0; row < holdout.rows; row++) {
    scored[2 * row] = holdout.target[row] as number;
    scored[2 * row + 1] = predicted[row] as number;
  }
  const model = deflateRawSync(bytes, { level: 1 });
  return {
    key,
    state: "trained" as const,
    trainRows: train.rows,
    holdoutRows: holdout.rows,
    loss: sumOf((row) => predicted[row] as number),
    baselineLoss: sumOf(() => constant),
    championLoss: champion === null ? null : sumOf((row) => champion[row] as number),
    targetSum: constant * train.rows,
    metrics: { ...metricsOf(recipe, holdout.target, predicted) },
    disagreement,
    length: model.byteLength,
    sizeBytes: bytes.byteLength,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    model,
    scored,
  };
}

async function ask(
  bytes: Uint8Array,
  recipe: Recipe,
  { inputs, rows }: KeyRows["holdout"],
): Promise<Float32Array> {
  const graph = await openGraph(bytes, recipe);
  try {
    return await graph.predict(inputs, rows);
  } finally {
    await graph.close();
  }
}

const maxModelBytes = 64 * 1024 ** 2;

async function championsAnswer(
  { champions, championFallback, recipe }: KeysTask,
  key: number,
  holdout: KeyRows["holdout"],
): Promise<Float32Array | null> {
  if (championFallback === null) return null;
  const found = champions.get(key);
  if (found === undefined) return ask(championFallback, recipe, holdout);
  const bytes = inflateRawSync(found.compressed, { maxOutputLength: maxModelBytes });
  if (createHash("sha256").update(bytes).digest("hex") !== found.sha256)
    throw new Error("The champion's model of this key has other bytes than were registered.");
  return ask(bytes, recipe, holdout);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function joinedScores(parts: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

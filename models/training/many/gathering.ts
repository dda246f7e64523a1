import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { CompareResult } from "../comparison/compare.worker.ts";
import { lossFor } from "../comparison/losses.ts";
import { pairedDifference } from "../comparison/paired.ts";
import { metricsOf } from "../evaluation/slices.ts";
import type { Baselines, TrainingResult } from "../schemas.ts";
import { type BundledModel, type BundleIndex, bundleFolder, indexFile } from "./bundle-index.ts";
import type { KeyResult, TrainedKey } from "./keys.worker.ts";
import type { Plan } from "./plan.ts";
import type { TaskRow } from "./store.ts";
import { taskFiles } from "./tasks.ts";

/** What all tasks found together. */
export interface Gathered {
  readonly metrics: TrainingResult["metrics"] | null;
  readonly baselines: Baselines | null;
  readonly trainRows: number;
  readonly holdoutRows: number;
  readonly disagreement: number;
  readonly modelBytes: number;
  readonly counts: { trained: number; fallback: number; failed: number };
  readonly index: BundleIndex;
  /** The blob of each bundle of the index. */
  readonly bundleKeys: readonly string[];
  readonly table: string;
  /** Trained keys that the champion was asked for too. */
  readonly comparison: CompareResult | null;
  readonly worse: number | null;
}

const maxHoldoutRows = 40_000_000;

export async function gather(blobs: BlobStore, plan: Plan, tasks: readonly TaskRow[]): Promise<Gathered> {
  const results = new Map<number, KeyResult>();
  const bundles: string[] = [];
  const bundleKeys: string[] = [];
  const models: BundledModel[] = [];
  const scores: Float64Array[] = [];
  const failures = new Map<number, string>();
  for (const { task, state, result, error } of tasks) {
    if (state !== "done" || result === null) {
      failures.set(task, error ?? "Its task did not end.");
      continue;
    }
    const own = JSON.parse(
      new TextDecoder().decode(await read(blobs, `${result}/${taskFiles.keys}`)),
    ) as KeyResult[];
    for (const key of own) {
      results.set(key.key, key);
      if (key.state === "trained")
        models.push([
          plan.keys[key.key]?.values ?? [],
          bundles.length,
          key.offset,
          key.length,
          key.sizeBytes,
          key.sha256,
        ]);
    }
    bundles.push(`bundle-${String(task).padStart(4, "0")}.bin`);
    bundleKeys.push(`${result}/${taskFiles.bundle}`);
    const bytes = await read(blobs, `${result}/${taskFiles.scores}`);
    const all = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
    let at = 0;
    for (const key of own) {
      if (key.state !== "trained") continue;
      const end = at + 2 * key.holdoutRows;
      if (isWhole(plan, key)) scores.push(all.subarray(at, end));
      at = end;
    }
  }
  const trained = [...results.values()].filter((key): key is TrainedKey => key.state === "trained");
  const whole = trained.filter((key) => isWhole(plan, key));
  const { target, predicted } = scoresOf(scores);
  const sum = (ofKey: (key: TrainedKey) => number) => whole.reduce((total, key) => total + ofKey(key), 0);
  const holdoutRows = sum((key) => key.holdoutRows);
  const trainRows = sum((key) => key.trainRows);
  const { metric } = lossFor(plan.recipe);
  const [loss, baselineLoss] = [
    sum((key) => key.loss) / holdoutRows,
    sum((key) => key.baselineLoss) / holdoutRows,
  ];
  const compared = whole.filter((key) => key.championLoss !== null);
  let failed = 0;
  for (const { key, task } of plan.keys)
    if (task !== null && (failures.has(task) || results.get(key)?.state === "failed")) failed++;
  return {
    metrics: whole.length === 0 ? null : metricsOf(plan.recipe, target, predicted),
    baselines:
      whole.length === 0
        ? null
        : {
            metric,
            model: loss,
            baselines: [
              {
                name: "mean of each key",
                value: sum((key) => key.targetSum) / trainRows,
                loss: baselineLoss,
              },
            ],
            beaten: loss < baselineLoss,
          },
    trainRows,
    holdoutRows,
    disagreement: trained.reduce((most, key) => Math.max(most, key.disagreement), 0),
    modelBytes: sum((key) => key.sizeBytes),
    counts: { trained: trained.length, failed, fallback: plan.keys.length - trained.length - failed },
    index: {
      format: 1,
      keyColumns: plan.keyColumns,
      fallback: plan.spec.fallback ?? "global",
      recipe: plan.recipe,
      bundles,
      models,
    },
    bundleKeys,
    table: tableOf(plan, results, failures),
    comparison: compared.length === 0 ? null : comparisonOf(plan, compared),
    worse: compared.length === 0 ? null : compared.filter((key) => key.loss > (key.championLoss ?? 0)).length,
  };
}

/** Rows of a parent are those of its keys too, and count once. */
function isWhole({ keys, keyColumns }: Plan, { key }: TrainedKey): boolean {
  return keys[key]?.values.length === keyColumns.length;
}

/** Rows of one key share its model and its street, so keys are the clusters; the rows of a key count as one sum. */
function comparisonOf(plan: Plan, keys: readonly TrainedKey[]): CompareResult {
  const differences = pairedDifference();
  let [champion, challenger] = [0, 0];
  for (const key of keys) {
    const theirs = key.championLoss ?? 0;
    champion += theirs;
    challenger += key.loss;
    // The mean difference for each of its rows: their sum is what the cluster's variance is made of.
    for (let row = 0; row < key.holdoutRows; row++)
      differences.add((theirs - key.loss) / key.holdoutRows, key.key);
  }
  const { rows, mean, low, high, method } = differences.result();
  return {
    kind: "compared",
    comparison: {
      metric: lossFor(plan.recipe).metric,
      rows,
      champion: champion / rows,
      challenger: challenger / rows,
      delta: mean,
      low,
      high,
      method: method.replace(/\bdays?\b/g, (word) => (word === "day" ? "key" : "keys")),
      seenByChampion: null,
    },
  };
}

function scoresOf(parts: readonly Float64Array[]): { target: Float64Array; predicted: Float64Array } {
  const pairs = parts.reduce((sum, part) => sum + part.length / 2, 0);
  // Beyond, every second, third, … row is enough for figures over all keys.
  const step = Math.max(1, Math.ceil(pairs / maxHoldoutRows));
  const kept = Math.ceil(pairs / step);
  const [target, predicted] = [new Float64Array(kept), new Float64Array(kept)];
  let [seen, at] = [0, 0];
  for (const part of parts) {
    for (let index = 0; index < part.length; index += 2) {
      if (seen++ % step !== 0) continue;
      target[at] = part[index] as number;
      predicted[at++] = part[index + 1] as number;
    }
  }
  return { target, predicted };
}

async function read(blobs: BlobStore, key: string): Promise<Uint8Array<ArrayBuffer>> {
  const content = await blobs.get(key);
  if (content === null) throw new Error(`The result ${key} of a task is gone.`);
  return new Uint8Array(await new Response(content.stream).arrayBuffer());
}

/** RFC 4180, one line for each key. */
function tableOf(
  plan: Plan,
  results: ReadonlyMap<number, KeyResult>,
  failures: ReadonlyMap<number, string>,
): string {
  const names = metricNames(results);
  const quoted = (value: unknown) => `"${String(value).replaceAll('"', '""')}"`;
  const head = [
    ...plan.keyColumns.map(({ name }) => quoted(name)),
    ..."state,reason,train_rows,holdout_rows,mean_loss,baseline_loss,champion_loss".split(","),
    ...names,
  ];
  const lines = plan.keys.map(({ key, values, trainRows, holdoutRows, task }) => {
    const found = results.get(key);
    const state = found?.state ?? (task === null ? "fallback" : "failed");
    const reason =
      found?.state === "trained"
        ? ""
        : (found?.reason ?? (task === null ? "too few rows (minRows)" : (failures.get(task) ?? "")));
    const trained = found?.state === "trained" ? found : undefined;
    const mean = (sum: number | null | undefined) =>
      trained === undefined || sum === null || sum === undefined ? "" : sum / trained.holdoutRows;
    return [
      ...plan.keyColumns.map((_, index) => (index < values.length ? quoted(values[index]) : "")),
      state,
      quoted(reason),
      trainRows,
      holdoutRows,
      mean(trained?.loss),
      mean(trained?.baselineLoss),
      mean(trained?.championLoss),
      ...names.map((name) => trained?.metrics[name] ?? ""),
    ].join(",");
  });
  return `${[head.join(","), ...lines].join("\r\n")}\r\n`;
}

function metricNames(results: ReadonlyMap<number, KeyResult>): string[] {
  for (const key of results.values())
    if (key.state === "trained") return Object.keys(key.metrics).filter((name) => name !== "rows");
  return [];
}

export { bundleFolder, indexFile };

import { readFile } from "node:fs/promises";
import { withDuckDb } from "../../../shared/duckdb/index.ts";
import { isKetlineError } from "../../../shared/errors.ts";
import { holdoutBatches } from "../data/holdout-rows.ts";
import type { FeatureRecipe, Recipe } from "../data/recipe.ts";
import { type GraphScorer, openGraph } from "../evaluation/scoring.ts";
import { choiceInside, recipeInside } from "../export/model-graph.ts";
import type { Comparison, RowChoice, TrainingSpec } from "../schemas.ts";
import { lossFor } from "./losses.ts";
import { pairedDifference } from "./paired.ts";
import { seenRows } from "./seen-rows.ts";

export interface CompareTask {
  /** The rows of the data set, as Parquet. */
  readonly file: string;
  readonly scratchDirectory: string;
  readonly spec: TrainingSpec;
  readonly challenger: Uint8Array;
  /** The champion's graph. */
  readonly championFile: string;
  /** The rows of the data set version that the champion was trained on, as Parquet; null when they are gone. */
  readonly championRows: string | null;
  readonly rows: number;
}

export type CompareResult =
  | { readonly kind: "compared"; readonly comparison: Comparison }
  | { readonly kind: "incomparable"; readonly reason: string };

/** Runs both graphs on the same rows of the holdout. */
export default async function compareModels(
  task: CompareTask,
  report: (done: number, message?: string) => void,
): Promise<CompareResult> {
  const champion = await readFile(task.championFile);
  const recipes = { champion: readRecipe(champion), challenger: readRecipe(task.challenger) };
  if (recipes.champion === null || recipes.challenger === null) {
    return { kind: "incomparable", reason: "it was not trained here, so how to feed it is not known" };
  }
  if (JSON.stringify(question(recipes.champion)) !== JSON.stringify(question(recipes.challenger))) {
    return { kind: "incomparable", reason: "it predicts something else" };
  }
  const { challenger: recipe } = recipes;
  const merged = mergeFeatures(recipes.champion.features, recipe.features);
  if (merged === null) {
    return { kind: "incomparable", reason: "features of the same name come from different columns" };
  }
  const graphs = [
    await openGraph(champion, recipes.champion),
    await openGraph(task.challenger, recipe),
  ] as const;
  try {
    return await compareGraphs(task, choiceInside(champion), recipe, merged, graphs, report);
  } catch (error) {
    if (!isMissingColumn(error)) throw error;
    return { kind: "incomparable", reason: "the data set lacks a column that it needs" };
  } finally {
    for (const graph of graphs) await graph.close();
  }
}

async function compareGraphs(
  { file, scratchDirectory, spec, rows, championRows }: CompareTask,
  trainedOn: RowChoice | null,
  recipe: Recipe,
  features: readonly FeatureRecipe[],
  [champion, challenger]: readonly [GraphScorer, GraphScorer],
  report: (done: number, message?: string) => void,
): Promise<CompareResult> {
  const files = championRows === null ? [file] : [file, championRows];
  return withDuckDb({ files, scratchDirectory }, async (duckDb) => {
    const { metric, loss } = lossFor(recipe);
    const differences = pairedDifference();
    let championLoss = 0;
    let challengerLoss = 0;
    let seen = 0;
    const request = { ...spec, slices: [] };
    for await (const batch of holdoutBatches(duckDb, file, request, { target: recipe.target, features })) {
      const theirs = await champion.predict(batch.inputs, batch.rows);
      const ours = await challenger.predict(batch.inputs, batch.rows);
      for (let row = 0; row < batch.rows; row++) {
        const target = batch.target[row] as number;
        const before = loss(target, theirs[row] as number);
        const after = loss(target, ours[row] as number);
        championLoss += before;
        challengerLoss += after;
        differences.add(before - after, batch.days[row] as number);
      }
      seen += batch.rows;
      report(seen / rows, `compared ${seen} of ${rows} rows with the champion`);
    }
    const { mean, low, high, method } = differences.result();
    const comparison: Comparison = {
      metric,
      rows: seen,
      champion: championLoss / seen,
      challenger: challengerLoss / seen,
      delta: mean,
      low,
      high,
      method,
      seenByChampion:
        championRows === null || trainedOn === null
          ? null
          : await seenRows(duckDb, { file, choice: spec }, { file: championRows, choice: trainedOn }, recipe),
    };
    return { kind: "compared", comparison };
  });
}

function readRecipe(bytes: Uint8Array): Recipe | null {
  try {
    return recipeInside(bytes);
  } catch (error) {
    if (isKetlineError(error)) return null;
    throw error;
  }
}

function question({ task, target, quantile }: Recipe) {
  return [task, target.column, target.greaterThan ?? null, target.equals ?? null, quantile ?? null];
}

/** The inputs of both; null when one name means two things. */
function mergeFeatures(
  a: readonly FeatureRecipe[],
  b: readonly FeatureRecipe[],
): readonly FeatureRecipe[] | null {
  const merged = new Map(a.map((feature) => [feature.name, feature]));
  for (const feature of b) {
    const other = merged.get(feature.name);
    const same = ({ input, source }: FeatureRecipe) => JSON.stringify([input, source]);
    if (other !== undefined && same(other) !== same(feature)) return null;
    merged.set(feature.name, feature);
  }
  return [...merged.values()];
}

function isMissingColumn(error: unknown): boolean {
  return error instanceof Error && /Binder Error: Referenced column/.test(error.message);
}

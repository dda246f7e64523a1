import { type DuckDb, quoteText } from "../../../shared/duckdb/index.ts";
import type { Recipe } from "../data/recipe.ts";
import type { FeatureColumn, Level, TrainingRows } from "../data/training-rows.ts";

/** The rows of one key, as they were written by the partition. */
export interface KeyRows {
  readonly key: number;
  readonly train: TrainingRows;
  readonly holdout: {
    readonly rows: number;
    readonly inputs: ReadonlyMap<string, Float32Array | string[]>;
    readonly target: Float64Array;
  };
}

/** Streams the keys of a task, each with all its rows, in the order of the data set. */
export async function* keyRows(
  duckDb: DuckDb,
  files: readonly string[],
  recipe: Recipe,
): AsyncGenerator<KeyRows> {
  const columns = recipe.features.map((_, index) => `f${index}`);
  const rows = duckDb.stream(
    `select n, h, t, ${columns.join(", ")} from read_parquet([${files.map(quoteText).join(", ")}], hive_partitioning = false) order by n, r`,
  );
  let open: Collected | undefined;
  for await (const chunk of rows) {
    const vectors = Array.from({ length: 3 + columns.length }, (_, index) => chunk.getColumnVector(index));
    const [keys, holdouts, targets, ...features] = vectors as [
      (typeof vectors)[0],
      (typeof vectors)[0],
      (typeof vectors)[0],
      ...typeof vectors,
    ];
    for (let row = 0; row < chunk.rowCount; row++) {
      const key = keys.getItem(row) as number;
      if (open !== undefined && open.key !== key) yield split(open, recipe);
      if (open?.key !== key) open = { key, isHoldout: [], target: [], features: columns.map(() => []) };
      open.isHoldout.push(holdouts.getItem(row) as boolean);
      open.target.push(targets.getItem(row) as number);
      for (let index = 0; index < features.length; index++)
        (open.features[index] as unknown[]).push(features[index]?.getItem(row));
    }
  }
  if (open !== undefined) yield split(open, recipe);
}

interface Collected {
  readonly key: number;
  readonly isHoldout: boolean[];
  readonly target: number[];
  readonly features: (number[] | string[])[];
}

function split({ key, isHoldout, target, features }: Collected, recipe: Recipe): KeyRows {
  const part = <Value>(values: readonly Value[], holdout: boolean) =>
    values.filter((_, row) => isHoldout[row] === holdout);
  const targets = Float64Array.from(part(target, false));
  const numbers = (index: number, holdout: boolean) =>
    Float32Array.from(part(features[index] as number[], holdout));
  const texts = (index: number, holdout: boolean) => part(features[index] as string[], holdout);
  const judged = Float64Array.from(part(target, true));
  return {
    key,
    train: {
      rows: targets.length,
      withoutTarget: 0,
      target: targets,
      lastTarget: null,
      features: recipe.features.map(({ name, kind, input }, index): FeatureColumn => {
        if (input === "text") {
          const values = texts(index, false);
          const levels = levelsOf(values);
          return { kind: "text levels", name, levels, codes: codesOf(values, levels), others: new Map() };
        }
        const values = numbers(index, false);
        if (kind === "numeric") return { kind: "numeric", name, values };
        const levels = levelsOf(values.filter(Number.isFinite));
        return { kind: "number levels", name, values, levels, codes: codesOf(values, levels) };
      }),
    },
    holdout: {
      rows: judged.length,
      target: judged,
      inputs: new Map(
        recipe.features.map(({ name, input }, index) => [
          name,
          input === "text" ? texts(index, true) : numbers(index, true),
        ]),
      ),
    },
  };
}

/** The most frequent first; among equals in the order of their values, as whoever reads them from DuckDB gets them. */
function levelsOf<Value extends string | number>(values: Iterable<Value>): Level<Value>[] {
  const counts = new Map<Value, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .map(([value, rows]) => ({ value, rows }))
    .sort((a, b) => b.rows - a.rows || (a.value < b.value ? -1 : 1));
}

function codesOf<Value>(values: ArrayLike<Value>, levels: readonly Level<Value>[]): Int32Array {
  const codeOf = new Map(levels.map(({ value }, code) => [value, code]));
  return Int32Array.from({ length: values.length }, (_, row) => codeOf.get(values[row] as Value) ?? -1);
}

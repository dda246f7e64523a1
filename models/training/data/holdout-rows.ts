import { type DuckDb, quoteName, quoteText } from "../../../shared/duckdb/index.ts";
import type { TrainingSpec } from "../schemas.ts";
import {
  type FeatureRecipe,
  numberSql,
  type Recipe,
  rowsSql,
  sliceSql,
  targetSql,
  textSql,
} from "./recipe.ts";

/** Some rows of the holdout, as a client would send them. */
export interface HoldoutBatch {
  readonly rows: number;
  /** By the name of the feature: float32 numbers with NaN for missing ones, or texts with '' for missing ones. */
  readonly inputs: ReadonlyMap<string, Float32Array | string[]>;
  readonly target: Float64Array;
  /** For each slice of the request, the row's value. */
  readonly slices: readonly (readonly (string | null)[])[];
  /** Days since 1970 of the split's time column; all 0 without one. */
  readonly days: Int32Array;
}

/** How many rows the holdout has, and how many of them have no target and are left out. */
export async function countHoldout(
  duckDb: DuckDb,
  file: string,
  spec: TrainingSpec,
  recipe: Pick<Recipe, "target">,
): Promise<{ rows: number; withoutTarget: number }> {
  const [counted] = await duckDb.rows(
    `select count(*) as every, count(${targetSql(recipe.target)}) as usable
       from read_parquet(${quoteText(file)}) where ${rowsSql(spec, "holdout")}`,
  );
  const rows = Number(counted?.usable);
  return { rows, withoutTarget: Number(counted?.every) - rows };
}

/** Streams the holdout, some 2,000 rows at a time, in the order of the file. */
export async function* holdoutBatches(
  duckDb: DuckDb,
  file: string,
  spec: TrainingSpec,
  recipe: { readonly target: Recipe["target"]; readonly features: readonly FeatureRecipe[] },
): AsyncGenerator<HoldoutBatch> {
  const target = targetSql(recipe.target);
  const day =
    "timeColumn" in spec.split ? `floor(epoch(${quoteName(spec.split.timeColumn)}) / 86400)::integer` : "0";
  const columns = [
    target,
    day,
    ...recipe.features.map(({ input, source }) => (input === "text" ? textSql(source) : numberSql(source))),
    ...spec.slices.map((name) => sliceSql(name, spec.derive)),
  ];
  const named = columns.map((expression, index) => `${expression} as c${index}`);
  const from = `from read_parquet(${quoteText(file)})`;
  const rows = duckDb.stream(
    `select ${named.join(", ")} ${from} where ${rowsSql(spec, "holdout")} and ${target} is not null`,
  );
  for await (const chunk of rows) {
    const size = chunk.rowCount;
    const valuesOf = (column: number) => {
      const vector = chunk.getColumnVector(column);
      return (row: number): unknown => vector.getItem(row);
    };
    const numbers = <Values extends Float32Array | Float64Array | Int32Array>(
      values: Values,
      column: number,
    ) => {
      const read = valuesOf(column);
      for (let row = 0; row < size; row++) values[row] = read(row) as number;
      return values;
    };
    const texts = (column: number) => {
      const read = valuesOf(column);
      return Array.from({ length: size }, (_, row) => read(row) as string);
    };
    const inputs = new Map(
      recipe.features.map(({ name, input }, index) => [
        name,
        input === "text" ? texts(index + 2) : numbers(new Float32Array(size), index + 2),
      ]),
    );
    yield {
      rows: size,
      target: numbers(new Float64Array(size), 0),
      days: numbers(new Int32Array(size), 1),
      inputs,
      slices: spec.slices.map((_, index) => texts(2 + recipe.features.length + index)),
    };
  }
}

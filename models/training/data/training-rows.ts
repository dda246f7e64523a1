import { type DuckDb, quoteName, quoteText } from "../../../shared/duckdb/index.ts";
import { invalid, tooLarge } from "../../../shared/errors.ts";
import type { TrainingSpec } from "../schemas.ts";
import { type FeatureRecipe, numberSql, type Recipe, rowsSql, targetSql, textSql } from "./recipe.ts";

/** The rows that a model is fitted on, column by column. */
export interface TrainingRows {
  readonly rows: number;
  /** Rows of the period that had no target, and are left out. */
  readonly withoutTarget: number;
  readonly target: Float64Array;
  /** The target of the latest row; null where the split knows no time. */
  readonly lastTarget: number | null;
  readonly features: readonly FeatureColumn[];
}

export type FeatureColumn = NumericColumn | NumberLevels | TextLevels;

export interface NumericColumn {
  readonly kind: "numeric";
  readonly name: string;
  /** As the graph gets them: float32, NaN for missing ones. */
  readonly values: Float32Array;
}

/** A number that is a category. A missing one has no level. */
export interface NumberLevels {
  readonly kind: "number levels";
  readonly name: string;
  readonly values: Float32Array;
  readonly levels: readonly Level<number>[];
  /** Index into the levels, -1 for none. */
  readonly codes: Int32Array;
}

/** A text that is a category. A missing one is the level ''. */
export interface TextLevels {
  readonly kind: "text levels";
  readonly name: string;
  readonly levels: readonly Level<string>[];
  readonly codes: Int32Array;
  /** The texts of rows whose level is not among those listed, by row. */
  readonly others: ReadonlyMap<number, string>;
}

export interface Level<Value> {
  readonly value: Value;
  /** Training rows that have it; the most frequent level comes first. */
  readonly rows: number;
}

/** Levels listed per column; a level beyond is too rare to learn from. */
const maxLevels = 10_000;
/** What the columns of a fit may take, with the standardised copies and the solver's own. */
const maxBytes = 2.5 * 1024 ** 3;

/**
 * Reads the training rows as a stream into typed arrays. Texts become codes inside DuckDB, through an ENUM type per
 * column, so that no string is made for them.
 *
 * @param file a Parquet file
 * @throws invalid when no row is left; tooLarge when they would not fit into memory
 */
export async function readTrainingRows(
  duckDb: DuckDb,
  file: string,
  spec: TrainingSpec,
  recipe: Recipe,
  report: (done: number, message: string) => void,
): Promise<TrainingRows> {
  const target = targetSql(recipe.target);
  const from = `from read_parquet(${quoteText(file)}) where ${rowsSql(spec, "train")}`;
  const [counted] = await duckDb.rows(`select count(*) as every, count(${target}) as usable ${from}`);
  const rows = Number(counted?.usable);
  const withoutTarget = Number(counted?.every) - rows;
  checkRows("train", rows, withoutTarget, spec);
  checkMemory(rows, recipe.features.length);
  const readers: Reader[] = [];
  for (const [index, feature] of recipe.features.entries()) {
    readers.push(await openReader(duckDb, `${from} and ${target} is not null`, feature, index, rows));
    report((0.3 * (index + 1)) / recipe.features.length, `counted the values of "${feature.name}"`);
  }
  const targets = new Float64Array(rows);
  const columns = [`${target} as target`, ...readers.flatMap((reader) => reader.expressions)];
  let row = 0;
  for await (const chunk of duckDb.stream(`select ${columns.join(", ")} ${from} and ${target} is not null`)) {
    const size = chunk.rowCount;
    const values = chunk.getColumnVector(0);
    for (let i = 0; i < size; i++) targets[row + i] = values.getItem(i) as number;
    let column = 1;
    for (const reader of readers) {
      for (const take of reader.takers) {
        const vector = chunk.getColumnVector(column++);
        for (let i = 0; i < size; i++) take(row + i, vector.getItem(i));
      }
    }
    row += size;
    report(0.3 + (0.7 * row) / rows, `read ${row} of ${rows} training rows`);
  }
  return {
    rows,
    withoutTarget,
    target: targets,
    lastTarget: await lastTarget(duckDb, `${from} and ${target} is not null`, target, spec),
    features: readers.map((reader) => reader.column),
  };
}

/** @throws invalid when there are fewer rows than the request takes for enough */
export function checkRows(
  part: "train" | "holdout",
  rows: number,
  withoutTarget: number,
  spec: TrainingSpec,
): void {
  const least = spec.minimumRows[part];
  if (rows >= least) return;
  const where =
    "timeColumn" in spec.split
      ? `from ${spec.split[part].from} to ${spec.split[part].to} of "${spec.split.timeColumn}"`
      : "of the split";
  const why = withoutTarget === 0 ? "" : ` (${withoutTarget} rows have none)`;
  const name = part === "train" ? "training period" : "holdout";
  const found = rows === 0 ? "no row" : rows === 1 ? "one row" : `${rows} rows`;
  const reason = part === "train" ? "learn from" : "judge a model by";
  throw invalid(
    `The ${name} ${where} holds ${found} with a target${why}; to ${reason} it takes ${least} (minimumRows.${part}).`,
    { field: rows === 0 ? "split" : "minimumRows" },
  );
}

async function lastTarget(
  duckDb: DuckDb,
  from: string,
  target: string,
  { split }: TrainingSpec,
): Promise<number | null> {
  if (!("timeColumn" in split)) return null;
  const [found] = await duckDb.rows(
    `select ${target} as last ${from} order by ${quoteName(split.timeColumn)} desc, last limit 1`,
  );
  return Number(found?.last);
}

function checkMemory(rows: number, features: number): void {
  const bytes = rows * (features * 16 + 64);
  if (bytes <= maxBytes) return;
  const fraction = Math.floor((maxBytes / bytes) * 100) / 100;
  throw tooLarge(
    `${rows} rows of ${features} features need about ${Math.ceil(bytes / 1024 ** 2)} MiB; set sample.fraction to ${fraction} or less.`,
    { field: "sample" },
  );
}

interface Reader {
  readonly column: FeatureColumn;
  readonly expressions: readonly string[];
  /** One per expression: stores a value of it. */
  readonly takers: readonly ((row: number, value: unknown) => void)[];
}

async function openReader(
  duckDb: DuckDb,
  from: string,
  feature: FeatureRecipe,
  index: number,
  rows: number,
): Promise<Reader> {
  const { name } = feature;
  if (feature.input === "text") return openTextReader(duckDb, from, feature, index, rows);
  const expression = numberSql(feature.source);
  const values = new Float32Array(rows);
  if (feature.kind === "numeric") {
    return {
      column: { kind: "numeric", name, values },
      expressions: [expression],
      takers: [into(values)],
    };
  }
  const found = await duckDb.rows(
    `select x as value, count(*) as n from (select ${expression} as x ${from}) where isfinite(x)
      group by x order by n desc, x limit ${maxLevels}`,
  );
  const levels = found.map(({ value, n }) => ({ value: Math.fround(Number(value)), rows: Number(n) }));
  const codeOf = new Map(levels.map(({ value }, code) => [value, code]));
  const codes = new Int32Array(rows);
  const take = (row: number, value: unknown): void => {
    values[row] = value as number;
    codes[row] = codeOf.get(values[row] as number) ?? -1;
  };
  return {
    column: { kind: "number levels", name, values, levels, codes },
    expressions: [expression],
    takers: [take],
  };
}

async function openTextReader(
  duckDb: DuckDb,
  from: string,
  feature: FeatureRecipe,
  index: number,
  rows: number,
): Promise<Reader> {
  const expression = textSql(feature.source);
  const table = quoteName(`levels_${index}`);
  await duckDb.run(
    `create temp table ${table} as
       select x as value, count(*) as n from (select ${expression} as x ${from})
        group by x order by n desc, x limit ${maxLevels}`,
  );
  const found = await duckDb.rows(`select value, n from ${table} order by n desc, value`);
  const type = quoteName(`level_${index}`);
  await duckDb.run(`create type ${type} as enum (select value from ${table} order by n desc, value)`);
  const codes = new Int32Array(rows);
  const others = new Map<number, string>();
  const known = `try_cast(${expression} as ${type})`;
  return {
    column: {
      kind: "text levels",
      name: feature.name,
      levels: found.map(({ value, n }) => ({ value: String(value), rows: Number(n) })),
      codes,
      others,
    },
    expressions: [
      `coalesce(enum_code(${known})::integer, -1)`,
      `case when ${known} is null then left(${expression}, 200) end`,
    ],
    takers: [
      into(codes),
      (row, value) => {
        if (typeof value === "string") others.set(row, value);
      },
    ],
  };
}

function into(values: Float32Array | Int32Array): (row: number, value: unknown) => void {
  return (row, value) => {
    values[row] = value as number;
  };
}

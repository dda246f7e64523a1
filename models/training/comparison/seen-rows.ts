import { type DuckDb, quoteText } from "../../../shared/duckdb/index.ts";
import { contentSql, type Recipe, rowsSql, targetSql } from "../data/recipe.ts";
import type { RowChoice } from "../schemas.ts";

/** Rows that a model is judged on or was trained on. */
export interface ChosenRows {
  /** A Parquet file. */
  readonly file: string;
  readonly choice: RowChoice;
}

/**
 * How many rows of a holdout a model was trained on, told by the columns that both know their rows by: whatever has the
 * same values there counts as the same row. Null when they have no such column in common.
 */
export async function seenRows(
  duckDb: DuckDb,
  holdout: ChosenRows,
  trained: ChosenRows,
  { target }: Pick<Recipe, "target">,
): Promise<number | null> {
  const known = new Set(trained.choice.rowKey);
  const common = (holdout.choice.rowKey ?? []).filter((name) => known.has(name));
  if (common.length === 0) return null;
  const rowsOf = ({ file, choice }: ChosenRows, part: "train" | "holdout") =>
    `select hash(${contentSql(common)}) as content from read_parquet(${quoteText(file)})
      where ${rowsSql(choice, part)} and ${targetSql(target)} is not null`;
  const [counted] = await duckDb.rows(
    `select count(*) as seen from (${rowsOf(holdout, "holdout")})
      where content in (${rowsOf(trained, "train")})`,
  );
  return Number(counted?.seen);
}

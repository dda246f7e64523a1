import { readdir } from "node:fs/promises";
import path from "node:path";
import { quoteText, withDuckDb } from "../../../shared/duckdb/index.ts";
import { invalid } from "../../../shared/errors.ts";
import { numberSql, type Recipe, rowsSql, targetSql, textSql } from "../data/recipe.ts";
import type { TrainingSpec } from "../schemas.ts";
import { type KeyColumn, keySql } from "./key-columns.ts";

export interface PartitionTask {
  readonly file: string;
  readonly scratchDirectory: string;
  readonly spec: TrainingSpec;
  readonly recipe: Recipe;
  readonly keyColumns: readonly KeyColumn[];
  readonly minRows: number;
  /** Numbers of key columns that a model is made for, the longest first: all of them, and for parents the first ones. */
  readonly levels: readonly number[];
}

/** A key of the data set. Its number is its place among all of them. */
export interface PlannedKey {
  readonly key: number;
  /** One text for each key column; fewer for a parent. */
  readonly values: readonly string[];
  readonly trainRows: number;
  readonly holdoutRows: number;
  /** Null for a key that has too few rows for a model. */
  readonly task: number | null;
}

export interface Partition {
  readonly keys: readonly PlannedKey[];
  /** For each task the files with its rows, within the scratch directory. */
  readonly files: readonly (readonly string[])[];
  /** Rows of the split without a value in a column of whole numbers or truth values, which have no key. */
  readonly rowsWithoutKey: number;
  /** Rows of the split that have no target. */
  readonly withoutTarget: number;
}

/** Beyond, one table of all keys is no longer small, and hardly any of them has rows to learn from. */
export const maxKeys = 100_000;
/** DuckDB keeps so many files open while it writes partitions. */
const maxTasks = 96;
const keysPerTask = 300;
const rowsPerTask = 400_000;
/** A longer one is nobody's name; the index of all keys is held in memory. */
const longestKey = 500;

/**
 * Reads the rows of the split once into one set of Parquet files for each task, typed as the trainers want them and named
 * by key; counting the rows of each key reads the key columns before that.
 */
export default async function partition(
  task: PartitionTask,
  report: (done: number, message?: string) => void,
): Promise<Partition> {
  const { file, scratchDirectory, spec, recipe, keyColumns, minRows, levels } = task;
  return withDuckDb({ files: [file], scratchDirectory, memoryMiB: 640 }, async (duckDb) => {
    const target = targetSql(recipe.target);
    const holdout = `coalesce(${rowsSql(spec, "holdout")}, false)`;
    const source = `read_parquet(${quoteText(file)}, file_row_number = true)`;
    const used = `(${rowsSql(spec, "train")} or ${holdout}) and ${target} is not null`;
    const keyExpressions = keyColumns.map((column, index) => `${keySql(column)} as k${index}`);
    const named = keyColumns.map((_, index) => `k${index}`);
    await duckDb.run(
      `create temp table found as select ${named.join(", ")}, count(*) filter (not h) as train, count(*) filter (h) as holdout
         from (select ${keyExpressions.join(", ")}, ${holdout} as h from ${source} where ${used}) group by all`,
    );
    const [counted] = await duckDb.rows(
      `select count(*) as keys, coalesce(sum(case when ${named.map((name) => `${name} is null`).join(" or ")} then train + holdout else 0 end), 0)::bigint as without,
         coalesce(max(greatest(${named.map((name) => `length(coalesce(${name}, ''))`).join(", ")}, 0)), 0) as longest from found`,
    );
    const distinct = Number(counted?.keys);
    if (distinct === 0) throw invalid("No row of the split has a target; there is nothing to learn from.");
    if (distinct > maxKeys) {
      throw invalid(
        `partitionBy makes ${distinct} keys of ${spec.partitionBy?.map((name) => `"${name}"`).join(", ")}; at most ${maxKeys} are taken. Choose columns of fewer values, or leave rows out with where.`,
        { field: "partitionBy" },
      );
    }
    if (Number(counted?.longest) > longestKey) {
      throw invalid(
        `partitionBy: a key has ${counted?.longest} characters; at most ${longestKey} are taken.`,
        { field: "partitionBy" },
      );
    }
    const [unusable] = await duckDb.rows(
      `select count(*) as rows from ${source} where (${rowsSql(spec, "train")} or ${holdout}) and ${target} is null`,
    );
    report(0.2, `found ${distinct} keys`);
    const keys: PlannedKey[] = [];
    const plan: { level: number[]; texts: string[][]; n: number[]; task: number[] } = {
      level: [],
      texts: keyColumns.map(() => []),
      n: [],
      task: [],
    };
    const rows = { inTask: 0, keysInTask: 0, task: 0 };
    for (const level of levels) {
      const own = named.slice(0, level);
      const groups = await duckDb.rows(
        `select ${own.join(", ")}, sum(train)::bigint as train, sum(holdout)::bigint as holdout from found
          where ${named.map((name) => `${name} is not null`).join(" and ")} group by ${own.join(", ")} order by ${own.join(", ")}`,
      );
      const enough = groups.filter((group) => Number(group.train) + Number(group.holdout) >= minRows).length;
      const perTask = Math.max(keysPerTask, Math.ceil(enough / Math.floor(maxTasks / (2 * levels.length))));
      for (const group of groups) {
        const [trainRows, holdoutRows] = [Number(group.train), Number(group.holdout)];
        const values = own.map((name) => String(group[name]));
        const size = trainRows + holdoutRows;
        const isFull =
          (rows.inTask + size > rowsPerTask && rows.task < maxTasks - 2) || rows.keysInTask >= perTask;
        if (size >= minRows && rows.keysInTask > 0 && isFull)
          Object.assign(rows, { inTask: 0, keysInTask: 0, task: rows.task + 1 });
        const taken = size >= minRows ? rows.task : null;
        const key = keys.length;
        keys.push({ key, values, trainRows, holdoutRows, task: taken });
        if (taken === null) continue;
        rows.inTask += size;
        rows.keysInTask++;
        plan.level.push(level);
        for (const [index, texts] of plan.texts.entries()) texts.push(values[index] ?? "");
        plan.n.push(key);
        plan.task.push(taken);
      }
    }
    const tasks = plan.n.length === 0 ? 0 : rows.task + 1;
    if (tasks > 0) {
      await duckDb.run(
        `create table plan (level integer, ${named.map((name) => `${name} varchar`).join(", ")}, n integer, task integer)`,
      );
      await duckDb.append("plan", [plan.level, ...plan.texts, plan.n, plan.task]);
      const features = recipe.features.map(
        ({ input, source: from }, index) =>
          `${input === "text" ? textSql(from) : numberSql(from)} as f${index}`,
      );
      const read = `select ${[...keyExpressions, `${holdout} as h`, "file_row_number as r", `${target} as t`, ...features].join(", ")} from ${source} where ${used}`;
      const columns = ["h", "r", "t", ...recipe.features.map((_, index) => `f${index}`)];
      const parts = levels.map(
        (level) =>
          `select p.task, p.n, ${columns.map((name) => `s.${name}`).join(", ")} from (${read}) s join plan p on p.level = ${level}
             and ${named
               .slice(0, level)
               .map((name) => `s.${name} = p.${name}`)
               .join(" and ")}`,
      );
      report(0.3, `writing the rows of ${plan.n.length} keys for ${tasks} tasks`);
      await duckDb.run(
        `copy (${parts.join(" union all ")}) to ${quoteText(path.join(scratchDirectory, "parts"))} (format parquet, partition_by (task))`,
      );
    }
    const files = await Promise.all(
      Array.from({ length: tasks }, async (_, index) => {
        const folder = path.join(scratchDirectory, "parts", `task=${index}`);
        return (await readdir(folder)).sort().map((name) => path.join(folder, name));
      }),
    );
    report(1, `wrote the rows of ${plan.n.length} keys`);
    return { keys, files, rowsWithoutKey: Number(counted?.without), withoutTarget: Number(unusable?.rows) };
  });
}

import { quoteName, quoteText, withDuckDb } from "../../../shared/duckdb/index.ts";
import { type Cell, cellsOf, type OutputPlan } from "./output-columns.ts";
import type { AnsweredRows, FailedRow } from "./predict-rows.ts";

export interface WriteChunkTask {
  /** The rows of the data set, as Parquet. */
  readonly file: string;
  readonly scratchDirectory: string;
  /** The Parquet file to write, in the scratch directory. */
  readonly target: string;
  readonly start: number;
  readonly rows: number;
  readonly keep: readonly string[];
  readonly plans: readonly OutputPlan[];
  readonly answered: readonly AnsweredRows[];
  /** For each row that was asked for, its row in the chunk; null when none was left out. */
  readonly places: Int32Array | null;
  readonly failed: readonly FailedRow[];
  /** The column that says why a row has no prediction; null for none. */
  readonly errorColumn: string | null;
}

/** Writes the kept columns and the predictions of a chunk, in the order of the rows. */
export default async function writeChunk(
  task: WriteChunkTask,
  report: (done: number) => void,
): Promise<void> {
  const { file, scratchDirectory, target, start, rows, keep, errorColumn } = task;
  const columns = [
    ...task.plans.flatMap((plan) => plan.columns),
    ...(errorColumn === null ? [] : [{ name: errorColumn, type: "varchar" }]),
  ];
  const cells = columnsOf(task);
  report(0.3);
  const limits = { threads: 1, memoryMiB: 256 };
  await withDuckDb({ files: [file], scratchDirectory, ...limits }, async (duckDb) => {
    await duckDb.run(
      `create table predictions (place bigint, ${columns.map(({ type }, index) => `c${index} ${type}`).join(", ")})`,
    );
    await duckDb.append("predictions", [
      Array.from({ length: rows }, (_, row) => BigInt(start + row)),
      ...cells,
    ]);
    report(0.6);
    const shown = [
      ...keep.map((name) => `source.${quoteName(name)}`),
      ...columns.map(({ name }, index) => `c${index} as ${quoteName(name)}`),
    ];
    await duckDb.run(
      `copy (select ${shown.join(", ")}
               from predictions
               join (select * from read_parquet(${quoteText(file)}, file_row_number = true)
                      where file_row_number >= ${start} and file_row_number < ${start + rows}) source
                 on source.file_row_number = place
              order by place)
         to ${quoteText(target)} (format parquet, compression snappy)`,
    );
  });
}

function columnsOf({ plans, answered, places, failed, rows, errorColumn }: WriteChunkTask): Cell[][] {
  const columns: Cell[][] = [];
  for (const plan of plans) {
    const own = plan.columns.map(() => new Array<Cell>(rows).fill(null));
    for (const { start, outputs } of answered) {
      const tensor = outputs[plan.output];
      if (tensor === undefined) throw new Error(`The model gave no output "${plan.output}".`);
      cellsOf(plan, tensor).forEach((cells, index) => {
        const column = own[index] ?? [];
        for (const [at, cell] of cells.entries()) column[places?.[start + at] ?? start + at] = cell;
      });
    }
    columns.push(...own);
  }
  if (errorColumn !== null) {
    const errors = new Array<Cell>(rows).fill(null);
    for (const { row, message } of failed) errors[row] = message;
    columns.push(errors);
  }
  return columns;
}

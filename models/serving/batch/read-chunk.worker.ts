import type { DuckDBDataChunk } from "@duckdb/node-api";
import { quoteName, quoteText, withDuckDb } from "../../../shared/duckdb/index.ts";
import { isKetlineError } from "../../../shared/errors.ts";
import type { Column } from "../../datasets/index.ts";
import { tensorsFromFrame } from "../protocols/frame.ts";
import type { ModelDescription } from "../repository/model.ts";
import type { Tensors } from "../tensors/tensors.ts";
import type { FailedRow } from "./predict-rows.ts";

export interface ReadChunkTask {
  /** The rows of the data set, as Parquet. */
  readonly file: string;
  readonly scratchDirectory: string;
  readonly start: number;
  readonly rows: number;
  readonly inputColumns: readonly Column[];
  readonly model: ModelDescription;
}

export interface ReadChunkResult {
  readonly inputs: Tensors;
  /** For each row of the inputs, its row in the chunk; null when none is left out. */
  readonly places: Int32Array | null;
  /** Rows that the model cannot take, by their number in the chunk. */
  readonly failed: readonly FailedRow[];
}

/** Reads rows and makes of them what the model takes, as the scoring protocol would of the same table. */
export default async function readChunk(
  task: ReadChunkTask,
  report: (done: number) => void,
): Promise<ReadChunkResult> {
  const { file, scratchDirectory, start, rows, inputColumns, model } = task;
  const limits = { threads: 1, memoryMiB: 256 };
  const cells: unknown[][] = [];
  await withDuckDb({ files: [file], scratchDirectory, ...limits }, async (duckDb) => {
    const columns = inputColumns.map((column, index) => `${cellSql(column)} as c${index}`);
    const found = duckDb.stream(
      `select ${columns.join(", ")} from read_parquet(${quoteText(file)}, file_row_number = true)
        where file_row_number >= ${start} and file_row_number < ${start + rows}`,
    );
    for await (const chunk of found) {
      report(0);
      appendRows(cells, chunk);
    }
  });
  if (cells.length !== rows) {
    throw new Error(`${cells.length} rows were read from row ${start} on, where ${rows} were expected.`);
  }
  return tensorsOf(
    cells,
    inputColumns.map(({ name }) => name),
    model,
  );
}

function tensorsOf(
  rows: readonly unknown[][],
  columns: readonly string[],
  model: ModelDescription,
): ReadChunkResult {
  try {
    return { inputs: tensorsFromFrame({ columns, rows }, model), places: null, failed: [] };
  } catch (error) {
    if (!isKetlineError(error, "invalid")) throw error;
  }
  const failed: FailedRow[] = [];
  const places: number[] = [];
  for (const [row, cells] of rows.entries()) {
    try {
      tensorsFromFrame({ columns, rows: [cells] }, model);
      places.push(row);
    } catch (error) {
      if (!isKetlineError(error, "invalid")) throw error;
      failed.push({ row, message: error.message.replace(/^Row 0, /, "") });
    }
  }
  const good = places.map((row) => rows[row] ?? []);
  return {
    inputs: tensorsFromFrame({ columns, rows: good }, model),
    places: Int32Array.from(places),
    failed,
  };
}

function appendRows(cells: unknown[][], chunk: DuckDBDataChunk): void {
  const columns = Array.from({ length: chunk.columnCount }, (_, index) => chunk.getColumnVector(index));
  for (let row = 0; row < chunk.rowCount; row++) {
    cells.push(columns.map((column) => plain(column.getItem(row))));
  }
}

/** Lists arrive wrapped. */
function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("items" in value)) return value;
  return Array.isArray(value.items) ? value.items.map(plain) : value;
}

/** Numbers, text, truth values and lists as a client would send them: times as pandas writes them to JSON. */
function cellSql({ name, type, kind }: Column): string {
  const column = quoteName(name);
  if (type === "DATE") return `strftime(${column}, '%Y-%m-%d')`;
  if (type === "TIMESTAMP WITH TIME ZONE") {
    return `strftime(make_timestamp(epoch_us(${column})), '%Y-%m-%dT%H:%M:%S.%gZ')`;
  }
  if (kind === "time") return `strftime(${column}::timestamp, '%Y-%m-%dT%H:%M:%S.%g')`;
  if (kind === "text") return `${column}::varchar`;
  if (/^(DECIMAL|U?HUGEINT)/.test(type)) return `${column}::double`;
  return column;
}

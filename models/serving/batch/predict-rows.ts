import { invalid, isKetlineError, unsupported } from "../../../shared/errors.ts";
import { commonRows, takeRows } from "../tensors/rows.ts";
import { type ModelSignature, requiredInputs } from "../tensors/signature.ts";
import { shapeText, type Tensors } from "../tensors/tensors.ts";

export interface FailedRow {
  /** Counts from 0, among the rows that were given. */
  readonly row: number;
  readonly message: string;
}

/** Rows `start` and those behind it, as many as the outputs have. */
export interface AnsweredRows {
  readonly start: number;
  readonly rows: number;
  readonly outputs: Tensors;
}

export interface PredictedRows {
  readonly answered: readonly AnsweredRows[];
  readonly failed: readonly FailedRow[];
}

/**
 * Rows of one run of the model: enough that a run costs more than its transport, few enough that progress, a cancel and
 * the memory of a run do not depend on the size of a chunk.
 */
const rowsPerRun = 2048;

/**
 * Predicts rows in runs of some thousand. When the model refuses a run, its halves are tried, down to the rows that
 * cannot be predicted, until there are more than `maxFailed` of them.
 *
 * @throws unsupported when the model does not answer one row for each
 */
export async function predictRows(
  signature: ModelSignature,
  inputs: Tensors,
  rows: number,
  maxFailed: number,
  run: (inputs: Tensors) => Promise<Tensors>,
): Promise<PredictedRows> {
  const answered: AnsweredRows[] = [];
  const failed: FailedRow[] = [];
  const fixed = fixedRows(signature);
  if (fixed !== undefined && rows % fixed !== 0) {
    throw invalid(
      `The model takes exactly ${fixed} rows at a time, which ${rows} rows are no multiple of; export it with a first ` +
        "dimension of any size, or choose chunkRows and limit to fit.",
    );
  }
  const predict = async (start: number, count: number): Promise<void> => {
    if (failed.length > maxFailed) return;
    try {
      const outputs = await run(takeRows(inputs, start, count));
      checkRows(outputs, count);
      answered.push({ start, rows: count, outputs });
    } catch (error) {
      if (!isKetlineError(error, "invalid")) throw error;
      if (count === 1 || fixed !== undefined) {
        for (let row = start; row < start + count; row++) failed.push({ row, message: error.message });
        return;
      }
      const half = count >> 1;
      await predict(start, half);
      await predict(start + half, count - half);
    }
  };
  const step = fixed ?? rowsPerRun;
  for (let start = 0; start < rows; start += step) await predict(start, Math.min(step, rows - start));
  return { answered, failed };
}

/** The number of rows that the model insists on, as graphs exported for one row or one batch do. */
export function fixedRows(signature: ModelSignature): number | undefined {
  const sizes = requiredInputs(signature)
    .map(({ shape }) => shape?.[0] ?? -1)
    .filter((size) => size > 0);
  return sizes[0];
}

function checkRows(outputs: Tensors, rows: number): void {
  if (commonRows(outputs) === rows) return;
  const shapes = Object.entries(outputs).map(
    ([name, { shape }]) => `"${name}" has the shape ${shapeText(shape)}`,
  );
  throw unsupported(
    `For ${rows} rows ${shapes.join(", ")}. Only models that answer one row for each row can predict a data set.`,
  );
}

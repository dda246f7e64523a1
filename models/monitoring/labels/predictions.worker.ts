import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { type CapturedLine, columnsOf, parseLine } from "../capture/captured.ts";
import { isOutputColumn, outputColumn } from "../capture/columns.ts";

/** Files of one hour. */
export interface PredictionsTask {
  readonly files: readonly string[];
}

/** What was predicted in answered requests, each once; the lists are of one length. */
export interface HourPredictions {
  readonly ids: readonly string[];
  readonly atMs: readonly number[];
  /** A value for each row of the request; none where the capture did not keep all its rows. */
  readonly rows: readonly (readonly unknown[])[];
}

export default async function readPredictions({ files }: PredictionsTask): Promise<HourPredictions> {
  const seen = new Set<string>();
  const ids: string[] = [];
  const atMs: number[] = [];
  const rows: (readonly unknown[])[] = [];
  for (const file of files) {
    for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      const line = parseLine(text);
      if (line === null || line.status === "error" || seen.has(line.id)) continue;
      seen.add(line.id);
      ids.push(line.id);
      atMs.push(line.atMs);
      rows.push(predictionOf(line));
    }
  }
  return { ids, atMs, rows };
}

/** The output that names the answer, or the first of one column, or the most probable of the classes. */
function predictionOf(line: CapturedLine): readonly unknown[] {
  const columns = columnsOf(line);
  const named = ["label", "output_label", "prediction", "variable"].find((name) =>
    columns.has(outputColumn(name)),
  );
  const chosen =
    named === undefined
      ? [...columns.keys()].find((name) => isOutputColumn(name) && !name.endsWith("]"))
      : outputColumn(named);
  const values = chosen === undefined ? maxProbable(columns) : (columns.get(chosen) ?? []);
  // Where not all rows were kept, the others lost their numbers.
  return values.length === line.rows ? values : [];
}

/** Of an output of a probability for each class: the number of the class, which is how such models count them. */
function maxProbable(columns: ReadonlyMap<string, readonly unknown[]>): readonly number[] {
  const first = [...columns.keys()].find((name) => isOutputColumn(name) && name.endsWith("[0]"));
  if (first === undefined) return [];
  const output = first.slice(0, -"[0]".length);
  const classes: (readonly unknown[])[] = [];
  for (;;) {
    const column = columns.get(`${output}[${classes.length}]`);
    if (column === undefined) break;
    classes.push(column);
  }
  return (classes[0] ?? []).map((_, row) => {
    let best = 0;
    for (let at = 1; at < classes.length; at++) {
      if (Number(classes[at]?.[row]) > Number(classes[best]?.[row])) best = at;
    }
    return best;
  });
}

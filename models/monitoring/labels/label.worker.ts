import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { type CapturedLine, columnsOf, parseLine } from "../capture/captured.ts";
import { isOutputColumn, outputColumn } from "../capture/columns.ts";
import type { Labelled } from "../schemas.ts";

export interface LabelTask {
  readonly files: readonly string[];
  readonly labels: readonly {
    readonly requestId: string;
    readonly rowIndex: number;
    readonly value: number | string | boolean;
    readonly observedMs: number;
  }[];
}

type Pair = readonly [prediction: unknown, label: number | string | boolean];

/** At most so many distinct whole numbers are classes. */
const mostClasses = 20;

/** Joins labels with the predictions of captured files: coverage, lag, and how wrong the predictions were. */
export default async function joinLabels({ files, labels }: LabelTask): Promise<Labelled> {
  const byKey = new Map(labels.map((label) => [`${label.requestId}#${label.rowIndex}`, label]));
  const seen = new Set<string>();
  const pairs: Pair[] = [];
  const lags: number[] = [];
  let predictions = 0;
  for (const file of files) {
    for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      const line = parseLine(text);
      if (line === null || line.status === "error" || seen.has(line.id)) continue;
      seen.add(line.id);
      const predicted = predictionOf(line);
      predicted.forEach((prediction, row) => {
        predictions++;
        const label = byKey.get(`${line.id}#${row}`);
        if (label === undefined) return;
        pairs.push([prediction, label.value]);
        lags.push(label.observedMs - line.atMs);
      });
    }
  }
  return {
    labels: pairs.length,
    predictions,
    coverage: predictions === 0 ? 0 : pairs.length / predictions,
    ...errorOf(pairs),
    medianLagMs: lags.sort((a, b) => a - b)[Math.floor(lags.length / 2)] ?? null,
  };
}

/** The output that names the answer, or the first of one column. */
function predictionOf(line: CapturedLine): readonly unknown[] {
  const columns = columnsOf(line);
  const named = ["label", "output_label", "prediction", "variable"].find((name) =>
    columns.has(outputColumn(name)),
  );
  const chosen =
    named === undefined
      ? [...columns.keys()].find((name) => isOutputColumn(name) && !name.endsWith("]"))
      : outputColumn(named);
  const values = chosen === undefined ? [] : (columns.get(chosen) ?? []);
  // Where not all rows were kept, the others lost their numbers.
  return values.length === line.rows ? values : [];
}

function errorOf(pairs: readonly Pair[]): Pick<Labelled, "metric" | "value"> {
  if (pairs.length === 0) return { metric: null, value: null };
  const numbers = pairs.map(([prediction, label]) => [Number(prediction), Number(label)] as const);
  const isText = pairs.some(
    ([prediction, label]) => typeof prediction === "string" || typeof label === "string",
  );
  const classes = new Set(numbers.flat());
  const areClasses = classes.size <= mostClasses && [...classes].every(Number.isInteger);
  if (isText || areClasses) {
    const wrong = pairs.filter(([prediction, label]) => textOf(prediction) !== textOf(label)).length;
    return { metric: "error_rate", value: wrong / pairs.length };
  }
  const errors = numbers.map(([prediction, label]) => Math.abs(prediction - label)).filter(Number.isFinite);
  const total = errors.reduce((sum, error) => sum + error, 0);
  return { metric: "mean_absolute_error", value: errors.length === 0 ? null : total / errors.length };
}

/** Classes compare as text; a truth value is the class 0 or 1. */
function textOf(value: unknown): string {
  return typeof value === "boolean" ? String(Number(value)) : String(value);
}

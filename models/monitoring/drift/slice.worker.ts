import { type DuckDb, quoteName, quoteText, withDuckDb } from "../../../shared/duckdb/index.ts";
import { invalid } from "../../../shared/errors.ts";
import {
  addValues,
  buildReferenceProfile,
  emptyWindow,
  joinProfiles,
  type ReferenceProfile,
  type WindowProfile,
} from "../../../shared/statistics/index.ts";

export interface SliceTask {
  /** A Parquet file. */
  readonly file: string;
  readonly scratchDirectory: string;
  readonly columns: readonly { readonly name: string; readonly kind: "numeric" | "categorical" }[];
  readonly timeColumn?: string | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  /** Count the slice against this reference; without one the slice becomes a reference. */
  readonly reference?: ReferenceProfile;
}

export type SliceResult =
  | { readonly kind: "reference"; readonly profile: ReferenceProfile }
  | { readonly kind: "window"; readonly window: WindowProfile; readonly rows: number };

const seed = 1;

/**
 * Profiles a slice of a dataset on a worker thread, one column after the other, so that only one is in memory.
 *
 * @throws invalid when the slice has no rows, or its time column is no time.
 */
export default async function profileSlice(
  task: SliceTask,
  report: (done: number, message?: string) => void,
): Promise<SliceResult> {
  return withDuckDb({ files: [task.file], scratchDirectory: task.scratchDirectory }, async (duckDb) => {
    const slice = sliceOf(task);
    const parts: ReferenceProfile[] = [];
    const window = task.reference && emptyWindow(task.reference);
    let rows = 0;
    for (const [index, { name, kind }] of task.columns.entries()) {
      report(index / task.columns.length, `reading ${name}`);
      const values = await valuesOf(duckDb, name, kind, slice);
      rows = values.length;
      if (window === undefined || task.reference === undefined) {
        parts.push(profileOf(name, kind, values));
      } else {
        addValues(window, task.reference, [{ name, values }]);
      }
    }
    if (window !== undefined) return { kind: "window", window, rows };
    if (rows === 0) throw invalid("The reference has no rows; give another slice.", { field: "reference" });
    return { kind: "reference", profile: joinProfiles(parts, seed) };
  });
}

function profileOf(name: string, kind: "numeric" | "categorical", values: unknown[]): ReferenceProfile {
  const column =
    kind === "numeric"
      ? { name, kind, values: values.map((value) => (typeof value === "number" ? value : null)) }
      : { name, kind, values: values.map((value) => (typeof value === "string" ? value : null)) };
  return buildReferenceProfile([column], { seed });
}

async function valuesOf(
  duckDb: DuckDb,
  name: string,
  kind: "numeric" | "categorical",
  slice: string,
): Promise<unknown[]> {
  const type = kind === "numeric" ? "double" : "varchar";
  const values: unknown[] = [];
  for await (const chunk of duckDb.stream(`select cast(${quoteName(name)} as ${type}) from ${slice}`)) {
    for (const value of chunk.getColumnValues(0)) values.push(value);
  }
  return values;
}

/** The rows of the slice, in the order of the file: the sample of a reference must repeat. */
function sliceOf({ file, timeColumn, fromMs, toMs }: SliceTask): string {
  const source = `read_parquet(${quoteText(file)})`;
  if (fromMs === undefined && toMs === undefined) return source;
  if (timeColumn === undefined) throw invalid("fromMs and toMs need timeColumn.", { field: "timeColumn" });
  const time = `epoch_ms(cast(${quoteName(timeColumn)} as timestamp))`;
  const conditions = [
    ...(fromMs === undefined ? [] : [`${time} >= ${fromMs}`]),
    ...(toMs === undefined ? [] : [`${time} < ${toMs}`]),
  ];
  return `${source} where ${conditions.join(" and ")}`;
}

import { withDuckDb } from "../../../shared/duckdb/index.ts";
import { invalid } from "../../../shared/errors.ts";
import { readRows, type Source, unreadable } from "../reading/reading.ts";
import type { Check, Column, ColumnProfile, Expectation, Findings } from "../schemas.ts";
import { checkExpectations } from "./expectations.ts";
import { profileColumns } from "./profile.ts";

export interface ProfileTask {
  readonly source: Source;
  readonly expectations: readonly Expectation[];
  readonly scratchDirectory: string;
}

export interface ProfileResult {
  /** Where the rows are as Parquet: the source's own file, or one in the scratch directory. */
  readonly rowsFile: string;
  readonly rows: number;
  readonly columns: readonly Column[];
  readonly profile: readonly ColumnProfile[];
  readonly checks: readonly Check[];
  readonly notes: readonly string[];
  readonly findings: Findings | null;
}

/** Reads, profiles and checks one file on a worker thread. @throws invalid when the file cannot be read. */
export default async function profileFile(
  task: ProfileTask,
  report: (done: number, message?: string) => void,
): Promise<ProfileResult> {
  const { source, expectations, scratchDirectory } = task;
  const work = withDuckDb({ files: [source.file], scratchDirectory }, async (duckDb) => {
    report(0.05, "reading the file");
    const rows = await readRows(duckDb, source, scratchDirectory);
    if (rows.columns.length === 0) throw invalid("The file has no columns.");
    const total = rows.columns.length;
    const profile = await profileColumns(duckDb, rows, (done) =>
      report(0.4 + (0.5 * done) / total, `profiled ${done} of ${total} columns of ${rows.count} rows`),
    );
    report(0.9, "checking expectations");
    const checks = await checkExpectations(duckDb, rows, expectations);
    return {
      rowsFile: rows.file,
      rows: rows.count,
      columns: rows.columns,
      profile,
      checks,
      notes: rows.notes,
      findings: rows.findings,
    };
  });
  // A Parquet file may be broken anywhere, so any query may be the one that finds it.
  return work.catch((error: unknown) => {
    throw unreadable(error, source);
  });
}

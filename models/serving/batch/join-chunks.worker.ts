import { quoteText, withDuckDb } from "../../../shared/duckdb/index.ts";

export interface JoinChunksTask {
  /** Parquet files of the same columns, in the order of their rows. */
  readonly files: readonly string[];
  readonly scratchDirectory: string;
  /** The Parquet file to write, in the scratch directory. */
  readonly target: string;
  /** Written into the file, for whoever finds it alone. */
  readonly origin: Readonly<Record<string, string>>;
}

/**
 * Puts chunks together into one file, streaming. On one thread and in their order: the same chunks give the same bytes,
 * so that a job that was interrupted gives the same version of its data set as one that was not.
 */
export default async function joinChunks(task: JoinChunksTask): Promise<void> {
  const { files, scratchDirectory, target, origin } = task;
  const limits = { threads: 1, memoryMiB: 256 };
  await withDuckDb({ files, scratchDirectory, ...limits }, async (duckDb) => {
    const notes = Object.entries(origin).map(([name, value]) => `${quoteText(name)}: ${quoteText(value)}`);
    await duckDb.run(
      `copy (select * from read_parquet([${files.map(quoteText).join(", ")}]))
         to ${quoteText(target)} (format parquet, compression snappy, kv_metadata {${notes.join(", ")}})`,
    );
  });
}

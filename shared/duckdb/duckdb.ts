import type { DuckDBConnection, DuckDBDataChunk, DuckDBValue, Json } from "@duckdb/node-api";
import { tooLarge } from "../errors.ts";

/** A DuckDB of its own, in memory, that reads and writes the files it was given and nothing else. */
export interface DuckDb {
  /** Runs statements for what they do. */
  run(sql: string, values?: readonly DuckDBValue[]): Promise<void>;
  /** All rows, by column name; whole numbers beyond 32 bits and decimals arrive as text, times as ISO-like text. */
  rows(sql: string, values?: readonly DuckDBValue[]): Promise<Record<string, Json>[]>;
  /** Rows as they come, some 2,000 at a time, without holding the result. */
  stream(sql: string, values?: readonly DuckDBValue[]): AsyncIterable<DuckDBDataChunk>;
  /** Adds rows to a table, given as one list of values for each of its columns. */
  append(table: string, columns: readonly (readonly AppendedValue[])[]): Promise<void>;
}

/** Lists may be nested. */
export type AppendedValue = null | boolean | number | bigint | string | readonly AppendedValue[];

export interface DuckDbOptions {
  /** The files that may be opened, for reading and, by COPY, for writing. */
  readonly files: readonly string[];
  /** A directory of one's own, for what does not fit into memory and for files to write. */
  readonly scratchDirectory: string;
  /** 2 by default. */
  readonly threads?: number;
  /** What DuckDB may hold before it spills to the scratch directory; 512 by default. */
  readonly memoryMiB?: number;
}

/**
 * Opens an embedded DuckDB for the time of `work`. Only in workers that run apart (`WorkerPool.runApart`): a file that
 * nests deep enough ends the process of whoever reads it, and decoding results takes the thread.
 *
 * Left to itself DuckDB fetches extensions from the network when it meets an unknown file type or address, and opens
 * any path that a query names. Here both are off, and stay off: the configuration is locked.
 *
 * @throws tooLarge when its memory did not suffice, which the same work would meet again
 */
export async function withDuckDb<Result>(
  options: DuckDbOptions,
  work: (duckDb: DuckDb) => Promise<Result>,
): Promise<Result> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const { memoryMiB = 512 } = options;
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(options.threads ?? 2),
    memory_limit: `${memoryMiB}MiB`,
    temp_directory: options.scratchDirectory,
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    allow_community_extensions: "false",
  });
  try {
    const connection = await instance.connect();
    try {
      await lockDown(connection, options);
      return await work(duckDbOver(connection));
    } catch (error) {
      throw explain(error, memoryMiB);
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}

/** DuckDB's bound, or the process's, was met; its own words are advice on settings that are not the caller's. */
function explain(error: unknown, memoryMiB: number): unknown {
  if (!(error instanceof Error) || !/^Out of Memory Error: /.test(error.message)) return error;
  const text = `The data needs more than the ${memoryMiB} MiB of memory that reading it may use.`;
  return tooLarge(text, { cause: error });
}

async function lockDown(connection: DuckDBConnection, options: DuckDbOptions): Promise<void> {
  const settings = [
    "timezone = 'UTC'",
    `allowed_paths = [${options.files.map(quoteText).join(", ")}]`,
    `allowed_directories = [${quoteText(`${options.scratchDirectory}/`)}]`,
    "enable_external_access = false",
    "lock_configuration = true",
  ];
  for (const setting of settings) await connection.run(`set ${setting}`);
}

function duckDbOver(connection: DuckDBConnection): DuckDb {
  return {
    async run(sql, values = []) {
      await connection.run(sql, [...values]);
    },
    async rows(sql, values = []) {
      return (await connection.runAndReadAll(sql, [...values])).getRowObjectsJson();
    },
    async *stream(sql, values = []) {
      const result = await connection.stream(sql, [...values]);
      for (let chunk = await result.fetchChunk(); chunk !== null; chunk = await result.fetchChunk()) {
        if (chunk.rowCount === 0) return;
        yield chunk;
      }
    },
    async append(table, columns) {
      const { DuckDBDataChunk, listValue } = await import("@duckdb/node-api");
      const wrapped = (value: AppendedValue): DuckDBValue =>
        typeof value === "object" && value !== null ? listValue(value.map(wrapped)) : value;
      const appender = await connection.createAppender(table);
      try {
        const types = Array.from({ length: appender.columnCount }, (_, index) => appender.columnType(index));
        const rows = columns[0]?.length ?? 0;
        for (let start = 0; start < rows; start += rowsPerChunk) {
          const size = Math.min(rowsPerChunk, rows - start);
          const chunk = DuckDBDataChunk.create(types, size);
          for (const [index, values] of columns.entries()) {
            chunk.setColumnValues(index, values.slice(start, start + size).map(wrapped));
          }
          appender.appendDataChunk(chunk);
        }
        appender.flushSync();
      } finally {
        appender.closeSync();
      }
    },
  };
}

/** DuckDB's own vectors have so many rows. */
const rowsPerChunk = 2048;

/** An identifier for SQL, whatever the column is called. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text literal for SQL. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

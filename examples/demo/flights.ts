import path from "node:path";
import { fileURLToPath } from "node:url";
import { quoteText, withDuckDb } from "../../shared/duckdb/index.ts";
import { inScratchDirectory } from "../../shared/scratch/index.ts";

/**
 * 3 million US flights of January to June 2001, from the npm package vega-datasets: `date` (a local time to the minute,
 * without a zone), `delay` (minutes, negative when early), `distance` (miles), `origin` and `destination` (airports).
 *
 * Sorted by date, without a missing value. Odd rows: six of 1 July 00:00; a few delays near 1,440 minutes (most of
 * Phoenix to Detroit around midnight) and down to -1,116, which are a day off; 191 rows repeat another one.
 */
export const flightsFile = fileURLToPath(
  new URL("../../node_modules/vega-datasets/data/flights-3m.parquet", import.meta.url),
);

export interface FlightsSample {
  /** Share of the flights, 0 to 1; which ones depends on nothing but the share. */
  readonly share: number;
  readonly format: "parquet" | "csv" | "jsonl";
  /** Only flights from this day on, `2001-01-01`, and before that one. */
  readonly from?: string;
  readonly before?: string;
}

const writers = {
  parquet: "format parquet, compression zstd",
  csv: "format csv, header true",
  jsonl: "format json",
} as const;

/** Writes a sample of the flights, in the order of their dates. @returns how many rows it has. */
export async function writeFlights(target: string, sample: FlightsSample): Promise<number> {
  const { share, format, from = "2001-01-01", before = "2001-07-02" } = sample;
  // Multiples of the golden ratio modulo 2^32 are spread evenly: a systematic sample over the months.
  const chosen = `(file_row_number * 2654435769) & 4294967295 < ${Math.round(share * 2 ** 32)}`;
  return inScratchDirectory((scratchDirectory) =>
    withDuckDb({ files: [flightsFile, path.resolve(target)], scratchDirectory }, async (duckDb) => {
      const [written] = await duckDb.rows(
        `copy (select date, delay, distance, origin, destination
                   from read_parquet(${quoteText(flightsFile)}, file_row_number = true)
                  where date >= ${quoteText(from)}::timestamp and date < ${quoteText(before)}::timestamp
                    and ${chosen}
                  order by file_row_number)
             to ${quoteText(path.resolve(target))} (${writers[format]})`,
      );
      return Number(written?.Count);
    }),
  );
}

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import {
  addValues,
  emptyWindow,
  type ReferenceProfile,
  type WindowProfile,
} from "../../../shared/statistics/index.ts";
import { columnsOf, parseLine } from "./captured.ts";

export interface HourTask {
  /** JSON Lines files of captured predictions. */
  readonly files: readonly string[];
  readonly reference: ReferenceProfile;
}

/** What one hour of captured predictions comes to. */
export interface HourProfile {
  readonly window: WindowProfile;
  readonly requests: number;
  /** Lines whose request was seen before in the same hour. */
  readonly duplicates: number;
  readonly errors: number;
  /** Lines that could not be read. */
  readonly damaged: number;
}

/** Rows that are counted together: the cost of looking columns up is paid once for all of them. */
const batchRows = 2000;

/** Counts captured predictions against the reference's frozen edges, on a worker thread and file by file. */
export default async function profileHour({ files, reference }: HourTask): Promise<HourProfile> {
  const window = emptyWindow(reference);
  const seen = new Set<string>();
  const counts = { requests: 0, duplicates: 0, errors: 0, damaged: 0 };
  let batch = new Map<string, unknown[]>();
  let rows = 0;
  const flush = () => {
    addValues(
      window,
      reference,
      [...batch].map(([name, values]) => ({ name, values })),
    );
    batch = new Map();
    rows = 0;
  };
  for (const file of files) {
    for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      if (text === "") continue;
      const line = parseLine(text);
      if (line === null) {
        counts.damaged++;
        continue;
      }
      if (seen.has(line.id)) {
        counts.duplicates++;
        continue;
      }
      seen.add(line.id);
      counts.requests++;
      if (line.status === "error") {
        counts.errors++;
        continue; // its inputs may be what was wrong with it
      }
      for (const [name, values] of columnsOf(line)) {
        const column = batch.get(name) ?? [];
        batch.set(name, column);
        for (const value of values) column.push(value);
        rows += values.length;
      }
      if (rows >= batchRows) flush();
    }
  }
  flush();
  return { window, ...counts };
}

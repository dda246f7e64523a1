import { createReadStream } from "node:fs";
import { invalid } from "../../../shared/errors.ts";

/**
 * What a table may nest. DuckDB's own parser takes minutes and gigabytes for a few hundred levels, counts them in a byte
 * in one place, and ends its process at some ten thousand.
 */
const maxLevels = 100;

/**
 * Refuses JSON Lines that nest deeper, in one pass over the bytes; whether they are JSON at all is not looked at.
 *
 * @throws invalid with the line at fault
 */
export async function checkDepth(file: string): Promise<void> {
  let depth = 0;
  let line = 1;
  let quoted = false;
  let escaped = false;
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 ** 2 }) as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === 0x0a) {
        // A line is an object of its own: one that is broken does not count for the next.
        line++;
        depth = 0;
        quoted = false;
        escaped = false;
      } else if (quoted) {
        if (escaped) escaped = false;
        else if (byte === 0x5c) escaped = true;
        else if (byte === 0x22) quoted = false;
      } else if (byte === 0x22) quoted = true;
      else if (byte === 0x7b || byte === 0x5b) {
        if (++depth > maxLevels) {
          throw invalid(
            `The file cannot be read as JSON Lines, one object a line: line ${line}: it nests more than ${maxLevels} levels deep.`,
          );
        }
      } else if (byte === 0x7d || byte === 0x5d) depth--;
    }
  }
}

import { createReadStream } from "node:fs";
import { invalid } from "../../../shared/errors.ts";

const quote = 0x22;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** DuckDB's reader has this limit too (`max_line_size`), and says it with advice on its settings. */
const longestRecord = 2_000_000;

/** Where in a record the scan stands. */
type Place = "record start" | "field start" | "plain" | "quoted" | "quote in quoted";

/**
 * Counts the records of a CSV file and holds each against RFC 4180 and the width of the header. DuckDB's reader alone
 * is not enough: it drops rows around a quote in the middle of a field, and a field after the last delimiter.
 *
 * @param fields how many each record has
 * @returns the records, the header included; empty lines count where there is one column only
 * @throws invalid with the line at fault
 */
export async function countRecords(file: string, delimiter: string, fields: number): Promise<number> {
  const separator = delimiter.charCodeAt(0);
  let place: Place = "record start";
  let records = 0;
  let found = 1;
  let line = 1;
  let recordLine = 1;
  let afterReturn = false;

  let recordStart = 0;
  let read = 0;

  const checkLength = (end: number): void => {
    if (end - recordStart <= longestRecord) return;
    throw unreadable(recordLine, `it is longer than ${longestRecord} bytes, perhaps for want of a quote`);
  };

  const endRecord = (end: number): void => {
    checkLength(end);
    recordStart = end;
    if (place !== "record start" || fields === 1) {
      if (found !== fields) throw wrongWidth(recordLine, found, fields, records === 1);
      records++;
    }
    place = "record start";
    found = 1;
    recordLine = line;
  };

  for await (const chunk of createReadStream(file, { highWaterMark: 1024 ** 2 }) as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      const wasReturn = afterReturn;
      afterReturn = byte === carriageReturn;
      if (place === "quoted") {
        if (byte === quote) place = "quote in quoted";
        else if (byte === lineFeed) line++;
      } else if (byte === separator) {
        place = "field start";
        found++;
      } else if (byte === lineFeed) {
        // A line feed after a carriage return belongs to it.
        if (wasReturn) continue;
        line++;
        endRecord(read + at);
      } else if (byte === carriageReturn) {
        line++;
        endRecord(read + at);
      } else if (byte === quote) {
        if (place === "plain") throw strayQuote(line, found);
        place = "quoted";
      } else {
        if (place === "quote in quoted") throw strayQuote(line, found);
        place = "plain";
      }
    }
    read += chunk.length;
    checkLength(read);
  }
  if (place === "quoted") throw unreadable(recordLine, "a quote is opened and never closed");
  if (place !== "record start") endRecord(read);
  return records;
}

function wrongWidth(line: number, found: number, fields: number, isFirstRow: boolean) {
  if (isFirstRow && found > fields) {
    return invalid(
      `The file cannot be read as CSV: its first line has ${fields === 1 ? "1 field" : `${fields} fields`}, but line ${line} has ${found}, so the first ` +
        `line does not name the columns. Put a line of ${found} names in its place, separated as the rows are.`,
    );
  }
  const count = found === 1 ? "1 field" : `${found} fields`;
  return unreadable(line, `it has ${count}, but the header has ${fields}`);
}

function strayQuote(line: number, field: number) {
  return unreadable(
    line,
    `field ${field} has a quote inside; a field with quotes is quoted, and its own quotes are doubled`,
  );
}

function unreadable(line: number, what: string) {
  return invalid(`The file cannot be read as CSV: line ${line}: ${what}.`);
}

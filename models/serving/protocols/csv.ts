import { invalid } from "../../../shared/errors.ts";

/**
 * Parses comma-separated values with a header line (RFC 4180): fields may be quoted, quotes inside are doubled, lines end
 * with LF or CRLF. Empty lines are passed over, as pandas does.
 *
 * @throws invalid with the number of the first line that has another number of fields than the header, or with a name
 * that stands in the header twice
 */
export function parseCsv(text: string): { columns: string[]; rows: string[][] } {
  const [columns, ...rows] = records(text.startsWith("\uFEFF") ? text.slice(1) : text);
  if (columns === undefined) throw invalid("The CSV has no header line with the names of the columns.");
  checkColumns(columns, "The CSV");
  rows.forEach((row, index) => {
    if (row.length !== columns.length) {
      throw invalid(
        `Row ${index + 1} of the CSV has ${row.length} fields; its header has ${columns.length}: ${columns.join(",").slice(0, 200)}.`,
      );
    }
  });
  return { columns, rows };
}

/** @throws invalid for a name that stands twice: which of the two is meant? */
export function checkColumns(columns: readonly string[], where: string): void {
  const seen = new Set<string>();
  for (const column of columns) {
    if (seen.has(column)) throw invalid(`${where} has the column "${column.slice(0, 200)}" twice.`);
    seen.add(column);
  }
}

function records(text: string): string[][] {
  const found: string[][] = [];
  let record: string[] = [];
  let at = 0;
  while (at < text.length) {
    const field = text[at] === '"' ? quotedField(text, at) : plainField(text, at);
    record.push(field.value);
    at = field.end;
    if (text[at] === ",") {
      at++;
      if (at === text.length) record.push("");
      else continue;
    }
    if (text[at] === "\r") at++;
    if (text[at] === "\n") at++;
    if (record.length > 1 || record[0] !== "") found.push(record);
    record = [];
  }
  return found;
}

function plainField(text: string, start: number): { value: string; end: number } {
  const pattern = /[^,\r\n]*/y;
  pattern.lastIndex = start;
  const value = pattern.exec(text)?.[0] ?? "";
  return { value, end: start + value.length };
}

function quotedField(text: string, start: number): { value: string; end: number } {
  const pattern = /"([^"]*(?:""[^"]*)*)"(?=[,\r\n]|$)/y;
  pattern.lastIndex = start;
  const match = pattern.exec(text);
  if (match === null) throw invalid(`The CSV has a quoted field at position ${start} that is not closed.`);
  return { value: (match[1] ?? "").replaceAll('""', '"'), end: start + match[0].length };
}

import type { Findings } from "../schemas.ts";

/** For people, one sentence each; what is as everybody expects it needs none. */
export function notesOf({ compression, encoding, columns }: Findings): string[] {
  const notes = compression === null ? [] : [`The file is unpacked from ${compression}.`];
  if (encoding !== "utf-8") notes.push(`The file is read as ${names[encoding]}: it is no UTF-8.`);
  for (const finding of columns) {
    if (finding.kind === "decimal comma") {
      notes.push(`Column "${finding.column}" is numeric: its decimal commas are read as points.`);
      continue;
    }
    const spellings = finding.spellings.map(({ text, count }) => `${JSON.stringify(text)} (${count})`);
    notes.push(`Column "${finding.column}": ${spellings.join(", ")} are read as missing values.`);
  }
  return notes;
}

const names = {
  "utf-16le": "UTF-16",
  "utf-16be": "UTF-16",
  "windows-1252": "Windows-1252 (Latin-1)",
} as const;

/** In small letters, without spaces around: https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html and R. */
export const missingSpellings: readonly string[] = [
  "na",
  "n/a",
  "#n/a",
  "null",
  "(null)",
  "none",
  "nan",
  "-",
  ".",
  "?",
];

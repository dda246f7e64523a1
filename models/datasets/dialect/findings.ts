import type { Encoding } from "./encoding.ts";

/** How the text of a file was understood, beyond what its uploader said. */
export interface Findings {
  readonly encoding: Encoding;
  readonly columns: readonly ColumnFinding[];
}

export type ColumnFinding =
  /** Values that stand for a missing one, each as it was written, with how often. */
  | {
      readonly kind: "missing";
      readonly column: string;
      readonly spellings: readonly { readonly text: string; readonly count: number }[];
    }
  | { readonly kind: "decimal comma"; readonly column: string };

/** For people, one sentence each; what is as everybody expects it needs none. */
export function notesOf({ encoding, columns }: Findings): string[] {
  const notes = encoding === "utf-8" ? [] : [`The file is read as ${names[encoding]}: it is no UTF-8.`];
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

import type SQLite from "better-sqlite3";

/**
 * Looks through a database.
 *
 * @param depth `quick` reads each page once; `full` compares the indexes with their tables as well
 * @returns a line for each damage, at most 100
 */
export function damagesOf(database: SQLite.Database, depth: "quick" | "full"): readonly string[] {
  const rows = database.pragma(depth === "quick" ? "quick_check" : "integrity_check") as readonly object[];
  return rows.map((row) => String(Object.values(row)[0])).filter((line) => line !== "ok");
}

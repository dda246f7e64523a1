export { type DuckDb, quoteName, quoteText, withDuckDb } from "./duckdb.ts";
export { inScratchDirectory } from "./scratch.ts";

export { type DuckDb, quoteName, quoteText, withDuckDb } from "./duckdb.ts";

export type { Database, Migration, SqlDialect } from "./database.ts";
export { type Gathered, gatheredRows, gathering } from "./gathering.ts";
export { databaseFrom, openDatabase } from "./open.ts";
export { UncertainChange } from "./postgres-faults.ts";

export type { Database, Migration, SqlDialect } from "./database.ts";
export { type Gathered, gatheredRows, gathering } from "./gathering.ts";
export { databaseFrom, openDatabase } from "./open.ts";
export { UncertainChange } from "./postgres/postgres-faults.ts";
export { damagesOf } from "./sqlite/sqlite-damage.ts";
export { startFault } from "./sqlite/sqlite-faults.ts";

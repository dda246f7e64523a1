export type { Database, Migration, SqlDialect } from "./database.ts";
export { databaseFrom, openDatabase } from "./open.ts";

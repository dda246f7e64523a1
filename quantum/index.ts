export { createQuantum } from "./create-quantum.ts";
export { quantumMigrations } from "./migrations.ts";

export { createTransfer } from "./create-transfer.ts";
export { transferMigrations } from "./migrations.ts";

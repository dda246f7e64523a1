export type { RetrainRequest } from "./actions.ts";
export { monitoringMigrations } from "./migrations.ts";
export { createMonitoring } from "./monitoring.ts";

export { createMonitoring } from "./create-monitoring.ts";
export { monitoringMigrations } from "./migrations.ts";
export type { RetrainRequest } from "./results/actions.ts";

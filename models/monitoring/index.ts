export type { Retrain, RetrainRequest } from "./actions.ts";
export { monitoringMigrations } from "./migrations.ts";
export { createMonitoring, type Monitoring } from "./monitoring.ts";

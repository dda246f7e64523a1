export { createTracking, type TrackingOptions } from "./create-tracking.ts";
export { trackingMigrations } from "./migrations.ts";
export type {
  LogBatch,
  LoggedMetric,
  LoggedModelRef,
  NewRun,
  RunDataset,
  Tracking,
} from "./tracking.ts";

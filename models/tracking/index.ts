export type {
  LogBatch,
  LoggedMetric,
  LoggedModelRef,
  NewRun,
  RunDataset,
  Tracking,
} from "./tracking.ts";

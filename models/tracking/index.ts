export { prefixOf, safeSegments } from "./artifact-uris.ts";
export { statArtifact } from "./artifacts.ts";
export { createTracking, type TrackingOptions } from "./create-tracking.ts";
export { orderOf } from "./filter/order.ts";
export { isAnyOf, type SearchPage, searchIds } from "./filter/sql.ts";
export { type Comparison, comparisonsOf, type SearchTarget } from "./filter/target.ts";
export { trackingMigrations } from "./migrations.ts";
export { checkKey, checkLength, checkPathLike, limits } from "./names.ts";
export { downloadReply } from "./protocol/download.ts";
export { flag, keyValue, list, pageSize, requiredText, text } from "./protocol/fields.ts";
export { many, unlessEmpty } from "./protocol/json.ts";
export { readRequest } from "./protocol/request.ts";
export { mlflowRoute } from "./protocol/route.ts";
export type {
  LogBatch,
  LoggedMetric,
  LoggedModelRef,
  NewRun,
  RunDataset,
  Tracking,
} from "./tracking.ts";

export { prefixOf, safeSegments } from "./artifacts/artifact-uris.ts";
export { statArtifact } from "./artifacts/artifacts.ts";
export { createTracking } from "./create-tracking.ts";
export type { ArtifactUses } from "./garbage/artifact-uses.ts";
export { trackingMigrations } from "./migrations.ts";
export type { Tracking } from "./tracking.ts";

export { createDatasets, type Datasets } from "./datasets.ts";
export { datasetMigrations } from "./migrations.ts";
export type { Column, DatasetVersion } from "./schemas.ts";

export { createDatasets, type Datasets } from "./datasets.ts";
export { datasetMigrations } from "./migrations.ts";
export { type Column, type ColumnProfile, DatasetName, type DatasetVersion } from "./schemas.ts";
export { type Doomed, type FindUses, isMeant } from "./uses.ts";

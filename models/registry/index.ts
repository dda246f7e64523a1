export { createRegistry, type RegistryOptions } from "./create-registry.ts";
export { registryMigrations } from "./migrations.ts";
export type {
  AliasChange,
  ModelPage,
  ModelSummary,
  ModelVersion,
  NewVersion,
  Registry,
} from "./registry.ts";

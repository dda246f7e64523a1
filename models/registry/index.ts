export type {
  AliasChange,
  ModelPage,
  ModelSummary,
  ModelVersion,
  NewVersion,
  Registry,
} from "./registry.ts";

export { createBatchPredictions } from "./batch/batch-predictions.ts";
export { batchMigrations } from "./batch/migrations.ts";
export { createServing } from "./create-serving.ts";
export type { Prediction, PredictionListener } from "./inference/prediction.ts";
export { servingMigrations } from "./migrations.ts";
export type { Deployment, DeploymentChange, DeploymentRevision, Variant } from "./schemas.ts";
export type { ChangeAuthor, Page, PageRequest, Serving } from "./serving.ts";
export type { Datatype, Tensor, TensorData, Tensors } from "./tensors/tensors.ts";
export { type Judgement, judge, type Rule, type Signal } from "./traffic/judgement.ts";
export type { Traffic, TrafficRange } from "./traffic/ledger.ts";
export {
  answersOf,
  emptyTally,
  failuresOf,
  latencyQuantile,
  mergeTallies,
  refusalsOf,
  type Tally,
} from "./traffic/tally.ts";

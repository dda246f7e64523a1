export { chiSquareContingency, fisherExact } from "./contingency.ts";
export { jensenShannon, smoothedPopulationStability } from "./distances.ts";
export { benjaminiHochberg } from "./false-discovery.ts";
export { hashText } from "./hash.ts";
export { kolmogorovSmirnovP } from "./kolmogorov-smirnov.ts";
export { type MeanAndSquares, mergeMoments } from "./moments.ts";
export { normalIsf } from "./normal.ts";
export {
  jensenShannonFloor,
  kolmogorovSmirnovFloor,
  populationStabilityFloor,
  wassersteinFloor,
} from "./null-floors.ts";
export {
  buildReferenceProfile,
  type CategoricalReference,
  joinProfiles,
  type NumericReference,
  type ProfileColumn,
  type ReferenceColumn,
  type ReferenceProfile,
} from "./profile.ts";
export { storedReference } from "./stored-reference.ts";
export { wasserstein } from "./transport.ts";
export {
  addValues,
  type CategoricalWindow,
  emptyWindow,
  finiteCount,
  mergeWindows,
  type NumericWindow,
  pointsOfReference,
  pointsOfWindow,
  type WindowColumn,
  type WindowProfile,
} from "./window-profile.ts";

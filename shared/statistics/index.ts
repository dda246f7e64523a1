export { jensenShannon, smoothedPopulationStability } from "./distances/distances.ts";
export { wasserstein } from "./distances/transport.ts";
export { hashText } from "./hash.ts";
export { type MeanAndSquares, mergeMoments } from "./moments.ts";
export {
  buildReferenceProfile,
  type CategoricalReference,
  joinProfiles,
  type NumericReference,
  type ProfileColumn,
  type ReferenceColumn,
  type ReferenceProfile,
} from "./profiles/profile.ts";
export { storedReference } from "./profiles/stored-reference.ts";
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
} from "./profiles/window-profile.ts";
export { chiSquareSf } from "./significance/chi-square.ts";
export { chiSquareContingency, fisherExact } from "./significance/contingency.ts";
export { benjaminiHochberg } from "./significance/false-discovery.ts";
export { lnChoose } from "./significance/gamma.ts";
export { kolmogorovSmirnovP } from "./significance/kolmogorov-smirnov.ts";
export { normalIsf } from "./significance/normal.ts";
export {
  jensenShannonFloor,
  kolmogorovSmirnovFloor,
  populationStabilityFloor,
  wassersteinFloor,
} from "./significance/null-floors.ts";

export { hashText } from "./hash.ts";
export {
  buildReferenceProfile,
  type CategoricalReference,
  type NumericReference,
  type ProfileColumn,
  type ReferenceColumn,
  type ReferenceProfile,
} from "./profile.ts";
export {
  addValues,
  type CategoricalWindow,
  emptyWindow,
  finiteCount,
  mergeWindows,
  type NumericWindow,
  type WindowColumn,
  type WindowProfile,
} from "./window-profile.ts";

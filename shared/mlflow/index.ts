export { downloadAnswers, fileAnswers } from "./answers.ts";
export { limits } from "./bounds.ts";
export { downloadReply } from "./download.ts";
export {
  double,
  enumeration,
  flag,
  int32,
  int64,
  keyValue,
  list,
  longText,
  pageSize,
  pageTokenText,
  requiredText,
  requiredTextOf,
  text,
  textOf,
  type ViewType,
  viewType,
} from "./fields.ts";
export { type DatasetRef, type OrderItem, orderItem, orderOf, withoutTwins } from "./filter/order.ts";
export { isAnyOf, loadPage, type SearchPage, searchIds } from "./filter/sql.ts";
export { type Comparison, comparisonsOf, type SearchTarget } from "./filter/target.ts";
export { doubleJson, many, unlessEmpty } from "./json.ts";
export { checkKey, checkLength, checkPathLike, invalidValue, truncate } from "./names.ts";
export { pageToken, readPageToken } from "./page-token.ts";
export { maxBatchBytes, readRequest } from "./request.ts";
export { mlflowPrefixes, mlflowRoute } from "./route.ts";

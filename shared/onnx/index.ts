export {
  type AttributeValue,
  buildModel,
  type ElementType,
  elementTypeCode,
  mlDomain,
  node,
  tensor,
  tensorInfo,
} from "./build.ts";
export {
  decodeModel,
  encodeModel,
  modelExternalData,
  modelMetadata,
  modelOperators,
  setModelMetadata,
} from "./model.ts";

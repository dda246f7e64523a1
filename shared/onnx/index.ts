export {
  type AttributeValue,
  buildModel,
  type ElementType,
  elementTypeCode,
  encodeModel,
  type ModelProto,
  mlDomain,
  node,
  tensor,
  tensorInfo,
} from "./build.ts";
export { attributeIntegers, attributeTexts, tensorElements, valueInfos } from "./elements.ts";
export { expandedNodeCount } from "./functions.ts";
export {
  modelExternalData,
  modelNodes,
  modelOperators,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxType,
  typeText,
} from "./model.ts";
export { readModel } from "./read.ts";
export { type ByteSource, bytesSource, fileSource } from "./source.ts";
export { appended, type Edit, fieldBytes, numberBytes, removed, replaced, spliced } from "./splice.ts";
export {
  attributeTags,
  dimensionTags,
  graphTags,
  modelTags,
  nodeTags,
  opsetTags,
  shapeTags,
  tensorTypeTags,
  typeTags,
  valueTags,
} from "./tags.ts";

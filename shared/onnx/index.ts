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
export { attributeIntegers, attributeTexts, tensorElements, type WrittenElements } from "./elements.ts";
export {
  type ExternalData,
  modelExternalData,
  modelOperators,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxType,
  type OnnxValue,
} from "./model.ts";
export { readModel } from "./read.ts";
export { type ByteSource, bytesSource, fileSource } from "./source.ts";
export { appended, type Edit, fieldBytes, numberBytes, removed, replaced, spliced } from "./splice.ts";
export {
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

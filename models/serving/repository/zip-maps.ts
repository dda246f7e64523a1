import {
  attributeIntegers,
  attributeTexts,
  type ByteSource,
  dimensionTags,
  type Edit,
  fieldBytes,
  graphTags,
  mlDomain,
  nodeTags,
  numberBytes,
  type OnnxModel,
  type OnnxNode,
  replaced,
  shapeTags,
  tensorTypeTags,
  typeTags,
  valueTags,
} from "../../../shared/onnx/index.ts";

const floatType = 1;

/**
 * scikit-learn classifiers end in ZipMap, which gives a sequence of maps that ONNX Runtime's binding for Node cannot
 * return (onnxruntime #8007). Each becomes an Identity: the output keeps its name and is the matrix of the scores.
 *
 * @returns the changes of the file, and the classes of the columns by the name of the output
 */
export function replaceZipMaps(
  model: OnnxModel,
  source: ByteSource,
): { edits: Edit[]; classLabels: Record<string, readonly string[]> } {
  const { graph } = model;
  const edits: Edit[] = [];
  const classLabels: Record<string, readonly string[]> = Object.create(null);
  for (const node of graph.nodes) {
    const [scores] = node.inputs;
    const [output] = node.outputs;
    const isZipMap = node.operator === "ZipMap" && node.domain === mlDomain;
    if (!isZipMap || scores === undefined || output === undefined) continue;
    // Nothing else takes a sequence of maps, so one that is no output is nobody's.
    const info = graph.outputs.find(({ name }) => name === output);
    if (info === undefined) continue;
    const labels = labelsOf(node, source);
    classLabels[output] = labels;
    edits.push(
      replaced(node.span, identity(scores, output)),
      replaced(info.span, scoresInfo(output, labels.length)),
    );
  }
  return { edits, classLabels };
}

function identity(input: string, output: string): Uint8Array {
  return fieldBytes(
    graphTags.node,
    fieldBytes(nodeTags.input, input),
    fieldBytes(nodeTags.output, output),
    fieldBytes(nodeTags.opType, "Identity"),
  );
}

/** An output of floats: any number of rows, by classes. */
function scoresInfo(name: string, classes: number): Uint8Array {
  const shape = fieldBytes(
    tensorTypeTags.shape,
    fieldBytes(shapeTags.dim),
    fieldBytes(shapeTags.dim, numberBytes(dimensionTags.value, classes)),
  );
  const type = fieldBytes(typeTags.tensor, numberBytes(tensorTypeTags.elementType, floatType), shape);
  return fieldBytes(graphTags.output, fieldBytes(valueTags.name, name), fieldBytes(valueTags.type, type));
}

function labelsOf(zipMap: OnnxNode, source: ByteSource): string[] {
  const of = (name: string) => zipMap.attributes.find((attribute) => attribute.name === name);
  const texts = of("classlabels_strings");
  if (texts !== undefined && texts.textCount > 0) return attributeTexts(source, texts);
  const integers = of("classlabels_int64s");
  return integers === undefined ? [] : attributeIntegers(source, integers).map(String);
}

import {
  type ByteSource,
  type Edit,
  type OnnxModel,
  type OnnxTensor,
  removed,
  tensorElements,
} from "../../../shared/onnx/index.ts";
import { tensorFromBytes } from "../protocols/binary-tensors.ts";
import { elementsFromJson } from "./elements.ts";
import { datatypeOfCode, elementCount, type Tensor, type Tensors } from "./tensors.ts";

/** Before version 4 every initializer had to be listed among the inputs: such inputs are weights, nobody's choice. */
const firstWithDefaults = 4;

/** What is larger, or more, are the weights of a model whose exporter lists them among the inputs all the same. */
const maxDefaults = 16;
const maxElements = 4096;

/**
 * Inputs that an initializer gives a value to may be left out of a request, or given. ONNX Runtime's binding for Node
 * passes over inputs that have an initializer, so these initializers are taken out of the graph and their values are fed
 * by us.
 *
 * @returns the values, by the name of the input, and the changes of the file
 */
export function defaultInputs(
  { irVersion, graph }: OnnxModel,
  source: ByteSource,
): { readonly defaults: Tensors; readonly edits: readonly Edit[] } {
  const defaults: Record<string, Tensor> = Object.create(null);
  const edits: Edit[] = [];
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const given = graph.initializers.filter(({ name }) => inputs.has(name));
  if (irVersion < firstWithDefaults || given.length > maxDefaults) return { defaults, edits };
  for (const initializer of given) {
    const tensor = tensorOf(initializer, source);
    if (tensor === undefined) continue;
    defaults[initializer.name] = tensor;
    edits.push(removed(initializer.span));
  }
  return { defaults, edits };
}

/** Undefined for one that cannot be given by a request either, or that is not written as it should be. */
function tensorOf(initializer: OnnxTensor, source: ByteSource): Tensor | undefined {
  const { dims: shape, dataType, external } = initializer;
  const datatype = datatypeOfCode(dataType);
  const count = elementCount(shape);
  const isSmall = shape.every((size) => size >= 0) && count <= maxElements;
  if (datatype === undefined || external !== null || !isSmall) return undefined;
  const elements = tensorElements(source, initializer);
  try {
    switch (elements.kind) {
      case "bytes":
        return tensorFromBytes(datatype, shape, elements.bytes, "The initializer");
      case "texts":
        if (datatype !== "BYTES" || elements.texts.length !== count) return undefined;
        return { datatype, shape, data: elements.texts };
      case "numbers": {
        const { numbers } = elements;
        if (numbers.length !== count || datatype === "BYTES") return undefined;
        // The bits of half floats are written as integers.
        if (datatype === "FP16") return { datatype, shape, data: Uint16Array.from(numbers, Number) };
        const isWide = datatype === "INT64" || datatype === "UINT64";
        const values = isWide
          ? numbers.map((value) => BigInt.asUintN(64, BigInt(value)))
          : numbers.map(Number);
        const signed =
          datatype === "INT64" ? values.map((value) => BigInt.asIntN(64, BigInt(value))) : values;
        return { datatype, shape, data: elementsFromJson(datatype, signed, "The initializer") };
      }
    }
  } catch {
    return undefined;
  }
}

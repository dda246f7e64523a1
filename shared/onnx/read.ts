import { invalid, tooLarge } from "../errors.ts";
import type { OnnxAttribute, OnnxFunction, OnnxGraph, OnnxModel, OnnxNode } from "./model.ts";
import { readAttribute } from "./read-attribute.ts";
import { readEntry, readSparseTensor, readTensor } from "./read-tensor.ts";
import { readValue } from "./read-type.ts";
import type { ByteSource } from "./source.ts";
import { type Span, spanOf } from "./span.ts";
import { functionTags, graphTags, modelTags, nodeTags, opsetTags } from "./tags.ts";
import { createWireCursor, type WireCursor } from "./wire.ts";

/** Protobuf's own limit for one message; what is larger keeps its tensors in files beside the model. */
const protobufLimit = 2 ** 31 - 1;

/**
 * Reads what an ONNX model is made of. The numbers in it, by far the most of a file, are stepped over: time and memory
 * follow from its nodes and names.
 *
 * @param options.maxBytes the largest file taken; 2 GiB, protobuf's own limit, by default
 * @throws tooLarge past the limit; invalid when the bytes are not an ONNX model with a graph
 */
export function readModel(source: ByteSource, options: { readonly maxBytes?: number } = {}): OnnxModel {
  const { sizeBytes } = source;
  const maxBytes = Math.min(options.maxBytes ?? protobufLimit, protobufLimit);
  if (sizeBytes > maxBytes) {
    throw tooLarge(`The ONNX model has ${sizeBytes} bytes; at most ${maxBytes} are taken here.`);
  }
  const cursor = createWireCursor(source);
  const span: Span = { fieldStart: 0, lengthStart: 0, start: 0, end: sizeBytes, parent: null };
  let irVersion = 0;
  let producerName = "";
  let producerVersion = "";
  let graph: GraphParts | undefined;
  const opsets = new Map<string, number>();
  const metadata = new Map<string, string>();
  const functions: OnnxFunction[] = [];
  while (cursor.next(sizeBytes)) {
    switch (cursor.tag) {
      case modelTags.irVersion:
        irVersion = cursor.int64();
        break;
      case modelTags.producerName:
        producerName = cursor.text();
        break;
      case modelTags.producerVersion:
        producerVersion = cursor.text();
        break;
      case modelTags.graph:
        graph = readGraph(cursor, span, graph);
        break;
      case modelTags.opsetImport:
        opsets.set(...readOpset(cursor));
        break;
      case modelTags.metadataProps:
        metadata.set(...readEntry(cursor));
        break;
      case modelTags.functions:
        functions.push(readFunction(cursor, span));
        break;
      default:
        cursor.skip();
    }
  }
  // Garbage often parses as protobuf with unknown fields; a real model names its format version and has a graph.
  if (irVersion <= 0 || graph === undefined) {
    throw invalid("The file is not an ONNX model: it has no IR version or no graph.");
  }
  const producer = [producerName, producerVersion].filter((part) => part !== "").join(" ");
  return { irVersion, producer, opsets, metadata, graph, functions, span };
}

function readOpset(cursor: WireCursor): [domain: string, version: number] {
  let domain = "";
  let version = 0;
  cursor.made(2);
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === opsetTags.domain) domain = domainOf(cursor.text());
      else if (cursor.tag === opsetTags.version) version = cursor.int64();
      else cursor.skip();
    }
  });
  return [domain, version];
}

/** `ai.onnx` is the standard domain's other name. */
function domainOf(written: string): string {
  return written === "ai.onnx" ? "" : written;
}

type ListsOf<Type> = {
  -readonly [Key in keyof Type]: Type[Key] extends readonly (infer Item)[] ? Item[] : Type[Key];
};
/** A graph while it is read. */
type GraphParts = ListsOf<OnnxGraph>;

/** @param before what was read of the same field already, to which this is added */
function readGraph(cursor: WireCursor, parent: Span, before?: GraphParts): GraphParts {
  const span = spanOf(cursor, parent);
  cursor.made(8);
  const graph: GraphParts = before ?? {
    name: "",
    nodes: [],
    initializers: [],
    sparseInitializers: [],
    inputs: [],
    outputs: [],
    span,
  };
  cursor.message((end) => {
    while (cursor.next(end)) {
      switch (cursor.tag) {
        case graphTags.node:
          graph.nodes.push(readNode(cursor, span));
          break;
        case graphTags.name:
          graph.name = cursor.text();
          break;
        case graphTags.initializer:
          graph.initializers.push(readTensor(cursor, span));
          break;
        case graphTags.input:
          graph.inputs.push(readValue(cursor, span));
          break;
        case graphTags.output:
          graph.outputs.push(readValue(cursor, span));
          break;
        case graphTags.sparseInitializer:
          graph.sparseInitializers.push(readSparseTensor(cursor, span));
          break;
        default:
          cursor.skip();
      }
    }
  });
  return graph;
}

function readFunction(cursor: WireCursor, parent: Span): OnnxFunction {
  const span = spanOf(cursor, parent);
  cursor.made(8);
  let domain = "";
  let name = "";
  let overload = "";
  const nodes: OnnxNode[] = [];
  const attributes: OnnxAttribute[] = [];
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === functionTags.name) name = cursor.text();
      else if (cursor.tag === functionTags.domain) domain = domainOf(cursor.text());
      else if (cursor.tag === functionTags.overload) overload = cursor.text();
      else if (cursor.tag === functionTags.node) nodes.push(readNode(cursor, span));
      else if (cursor.tag === functionTags.attributeProto) {
        attributes.push(readAttribute(cursor, span, readGraph));
      } else cursor.skip();
    }
  });
  return { domain, name, overload, nodes, attributes, span };
}

function readNode(cursor: WireCursor, parent: Span): OnnxNode {
  const span = spanOf(cursor, parent);
  cursor.made(8);
  let operator = "";
  let domain = "";
  let name = "";
  let overload = "";
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: OnnxAttribute[] = [];
  cursor.message((end) => {
    while (cursor.next(end)) {
      switch (cursor.tag) {
        case nodeTags.input:
          inputs.push(cursor.text());
          break;
        case nodeTags.output:
          outputs.push(cursor.text());
          break;
        case nodeTags.name:
          name = cursor.text();
          break;
        case nodeTags.opType:
          operator = cursor.text();
          break;
        case nodeTags.attribute:
          attributes.push(readAttribute(cursor, span, readGraph));
          break;
        case nodeTags.overload:
          overload = cursor.text();
          break;
        case nodeTags.domain:
          domain = domainOf(cursor.text());
          break;
        default:
          cursor.skip();
      }
    }
  });
  return { operator, domain, overload, name, inputs, outputs, attributes, span };
}

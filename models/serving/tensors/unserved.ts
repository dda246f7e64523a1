import { invalid } from "../../../shared/errors.ts";
import {
  type ByteSource,
  type Edit,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxType,
  removed,
  typeText,
  valueInfos,
} from "../../../shared/onnx/index.ts";
import type { UnservedValue } from "./signature.ts";
import { datatypeOfCode } from "./tensors.ts";

/**
 * Outputs that cannot be answered are taken out of the graph, with what is there for them alone: ONNX Runtime's binding
 * for Node refuses a whole model for the type of one output, and an output that nobody gets needs no computing. An input
 * that cannot be sent goes with them, if no other output needs it.
 *
 * @param matrices names of outputs that were made tensors already (see `zip-maps.ts`)
 * @throws invalid when no output is left, or an input that cannot be sent is needed
 */
export function takeOutUnserved(
  { graph }: OnnxModel,
  source: ByteSource,
  matrices: ReadonlySet<string>,
): { readonly unserved: readonly UnservedValue[]; readonly edits: readonly Edit[] } {
  const outputs = graph.outputs.filter(({ name, type }) => !matrices.has(name) && !isServed(type));
  const fed = new Set(initializerNames(graph));
  const inputs = graph.inputs.filter(({ name, type }) => !isServed(type) && !fed.has(name));
  if (outputs.length === 0 && inputs.length === 0) return { unserved: [], edits: [] };
  if (outputs.length === graph.outputs.length) {
    const found = outputs.map(({ name, type }) => `"${name}" is ${typeText(type)}`).join(", ");
    throw invalid(`None of its outputs can be answered: ${found}. ${answerable}`);
  }
  const isOut = new Set(outputs.map(({ name }) => name));
  const kept = graph.outputs.map(({ name }) => name).filter((name) => !isOut.has(name));
  const { needed, dead } = reach(graph, kept);
  for (const { name, type } of inputs) {
    if (needed.has(name)) {
      throw invalid(`Its input "${name}" is ${typeText(type)}, which cannot be sent. ${answerable}`);
    }
  }
  const made = new Set(dead.flatMap((node) => node.outputs));
  const isLeftOver = (name: string) => !needed.has(name) && (made.has(name) || isOut.has(name));
  const deadInputs = new Set(dead.flatMap(namesUsed));
  const edits = [
    ...[...outputs, ...inputs].map(({ span }) => removed(span)),
    ...dead.map(({ span }) => removed(span)),
    ...graph.initializers
      .filter(({ name }) => !needed.has(name) && (deadInputs.has(name) || isOut.has(name)))
      .map(({ span }) => removed(span)),
    ...valueInfos(source, graph)
      .filter(({ name }) => isLeftOver(name))
      .map(({ span }) => removed(span)),
  ];
  const unserved = [
    ...outputs.map(({ name, type }) => ({ kind: "output", name, type: typeText(type) }) as const),
    ...inputs.map(({ name, type }) => ({ kind: "input", name, type: typeText(type) }) as const),
  ];
  return { unserved, edits };
}

const answerable =
  "Tensors of booleans, integers of 8 to 64 bits, floats of 16, 32 and 64 bits, and strings can be sent and answered.";

/** Where the model does not say the type of an output, the runtime does, once it has loaded it. */
function isServed(type: OnnxType): boolean {
  if (type.kind === "open") return true;
  if (type.kind !== "tensor") return false;
  return type.elementType === 0 || datatypeOfCode(type.elementType) !== undefined;
}

function initializerNames({ initializers, sparseInitializers }: OnnxGraph): string[] {
  return [...initializers, ...sparseInitializers].map(({ name }) => name);
}

/** What the outputs are made from, and the nodes that give nothing for them. Nodes stand in the order of their work. */
function reach(
  { nodes }: OnnxGraph,
  outputs: readonly string[],
): { readonly needed: ReadonlySet<string>; readonly dead: readonly OnnxNode[] } {
  const needed = new Set(outputs);
  const dead: OnnxNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (node.outputs.some((name) => needed.has(name))) {
      for (const name of namesUsed(node)) needed.add(name);
    } else dead.push(node);
  }
  return { needed, dead };
}

/** The inputs of a node, and what the graphs inside it may take from around them. */
function namesUsed(node: OnnxNode): string[] {
  const names = [...node.inputs];
  for (const { graphs } of node.attributes) {
    for (const graph of graphs) {
      for (const { name } of graph.outputs) names.push(name);
      for (const inner of graph.nodes) for (const name of namesUsed(inner)) names.push(name);
    }
  }
  return names;
}

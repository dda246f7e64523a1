import { invalid } from "../errors.ts";
import type { OnnxFunction, OnnxModel, OnnxNode } from "./model.ts";

/**
 * How many nodes a model has once each call of its own functions is replaced by the function's nodes, as the runtime
 * does before anything else: thirty functions that call each other twice are a thousand million.
 *
 * @throws invalid for functions that call themselves
 */
export function expandedNodeCount(model: OnnxModel): number {
  const functions = new Map(model.functions.map((one) => [keyOf(one.domain, one.name, one.overload), one]));
  const counts = new Map<OnnxFunction, number>();
  const open = new Set<OnnxFunction>();

  const sizeOf = (called: OnnxFunction): number => {
    const known = counts.get(called);
    if (known !== undefined) return known;
    if (open.has(called)) throw invalid(`The model's function ${nameOf(called)} calls itself.`);
    if (open.size >= maxCalls) {
      throw invalid(`The model's functions call each other more than ${maxCalls} levels deep.`);
    }
    open.add(called);
    const size = countOf(called.nodes) + countOf(called.attributes.flatMap(nodesOf));
    open.delete(called);
    counts.set(called, size);
    return size;
  };
  /** With the graphs inside, whose depth is bounded by the reader. */
  const countOf = (nodes: readonly OnnxNode[]): number => {
    let count = 0;
    for (const { domain, operator, overload, attributes } of nodes) {
      const called = functions.get(keyOf(domain, operator, overload));
      count += called === undefined ? 1 : sizeOf(called);
      for (const { graphs } of attributes) for (const graph of graphs) count += countOf(graph.nodes);
    }
    return count;
  };
  return countOf(model.graph.nodes);
}

/** Real models have a handful. */
const maxCalls = 100;

function nodesOf({ graphs }: OnnxFunction["attributes"][number]): readonly OnnxNode[] {
  return graphs.flatMap(({ nodes }) => nodes);
}

function keyOf(domain: string, name: string, overload: string): string {
  return `${domain}\n${name}\n${overload}`;
}

function nameOf({ domain, name }: OnnxFunction): string {
  return `${domain}.${name}`;
}

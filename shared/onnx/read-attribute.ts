import {
  keptIntegers,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxSparseTensor,
  type OnnxTensor,
} from "./model.ts";
import { readSparseTensor, readTensor } from "./read-tensor.ts";
import { type Span, spanOf } from "./span.ts";
import { attributeTags } from "./tags.ts";
import type { WireCursor } from "./wire.ts";

/** Longer texts in attributes are pictures and vocabularies, of which nothing has to be known. */
const maxTextBytes = 256;

/** Reads the attribute in the current field; its lists of numbers and texts are counted. */
export function readAttribute<Graph extends OnnxGraph>(
  cursor: WireCursor,
  parent: Span,
  readGraph: (cursor: WireCursor, parent: Span, before?: Graph) => Graph,
): OnnxAttribute {
  const span = spanOf(cursor, parent);
  cursor.made(6);
  let name = "";
  let int = 0;
  let float = 0;
  let text: string | undefined = "";
  let reference = "";
  let intCount = 0;
  let floatCount = 0;
  let textCount = 0;
  let graph: Graph | undefined;
  const ints: number[] = [];
  const graphs: OnnxGraph[] = [];
  const tensors: OnnxTensor[] = [];
  const sparseTensors: OnnxSparseTensor[] = [];
  cursor.message((end) => {
    while (cursor.next(end)) {
      switch (cursor.tag) {
        case attributeTags.name:
          name = cursor.text();
          break;
        case attributeTags.f:
          float = cursor.float();
          break;
        case attributeTags.i:
          int = cursor.int64();
          break;
        case attributeTags.s:
          text = cursor.valueEnd - cursor.valueStart <= maxTextBytes ? cursor.text() : undefined;
          cursor.skip();
          break;
        case attributeTags.ints:
          intCount++;
          if (ints.length < keptIntegers) ints.push(cursor.int64());
          else intCount += cursor.skipSame(end);
          break;
        case attributeTags.packedInts: {
          const { valueEnd } = cursor;
          for (; cursor.nextPacked(valueEnd); intCount++) {
            if (ints.length < keptIntegers) ints.push(cursor.int64());
          }
          break;
        }
        case attributeTags.floats:
          cursor.skip();
          floatCount += 1 + cursor.skipSame(end);
          break;
        case attributeTags.packedFloats:
          floatCount += Math.floor((cursor.valueEnd - cursor.valueStart) / 4);
          cursor.skip();
          break;
        case attributeTags.strings:
          cursor.skip();
          textCount += 1 + cursor.skipSame(end);
          break;
        case attributeTags.g:
          graph = readGraph(cursor, span, graph);
          break;
        case attributeTags.graphs:
          graphs.push(readGraph(cursor, span));
          break;
        case attributeTags.t:
        case attributeTags.tensors:
          tensors.push(readTensor(cursor, span));
          break;
        case attributeTags.sparseTensor:
        case attributeTags.sparseTensors:
          sparseTensors.push(readSparseTensor(cursor, span));
          break;
        case attributeTags.refAttrName:
          reference = cursor.text();
          break;
        default:
          cursor.skip();
      }
    }
  });
  if (graph !== undefined) graphs.unshift(graph);
  const counts = { intCount, floatCount, textCount };
  return { name, int, float, text, ints, ...counts, tensors, sparseTensors, graphs, reference, span };
}

import type { OnnxAttribute, OnnxGraph, OnnxTensor, OnnxValue } from "./model.ts";
import { readValue } from "./read-type.ts";
import type { ByteSource } from "./source.ts";
import type { Span } from "./span.ts";
import { attributeTags, graphTags, tensorTags } from "./tags.ts";
import { createWireCursor, type WireCursor, wireTypes } from "./wire.ts";

/* What `readModel` passes over, read when it is asked for. */

/** The list of texts of an attribute. @throws tooLarge when they would fill the memory */
export function attributeTexts(source: ByteSource, { span }: OnnxAttribute): string[] {
  const texts: string[] = [];
  eachField(source, span, (cursor) => {
    if (cursor.tag === attributeTags.strings) texts.push(cursor.text());
  });
  return texts;
}

/** The list of whole numbers of an attribute. @throws tooLarge when they would fill the memory */
export function attributeIntegers(source: ByteSource, { span }: OnnxAttribute): bigint[] {
  const integers: bigint[] = [];
  eachField(source, span, (cursor) => {
    if (cursor.tag === attributeTags.ints || cursor.tag === attributeTags.packedInts) {
      eachVarint(cursor, (value) => integers.push(value));
    }
  });
  return integers;
}

/** The elements of a tensor as the file has them: the bytes of all, or a list (onnx.proto, `TensorProto`). */
export type WrittenElements =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  /** Floats and doubles, integers of any size, and the bits of half floats. */
  | { readonly kind: "numbers"; readonly numbers: readonly (number | bigint)[] }
  | { readonly kind: "texts"; readonly texts: readonly string[] };

/** @throws tooLarge when they would fill the memory */
export function tensorElements(source: ByteSource, { span }: OnnxTensor): WrittenElements {
  let bytes: Buffer | undefined;
  const numbers: (number | bigint)[] = [];
  const texts: string[] = [];
  eachField(source, span, (cursor) => {
    switch (cursor.tag) {
      case tensorTags.rawData:
        bytes = cursor.bytes();
        break;
      case tensorTags.stringData:
        texts.push(cursor.text());
        break;
      case tensorTags.int32Data:
      case tensorTags.packedInt32Data:
      case tensorTags.int64Data:
      case tensorTags.packedInt64Data:
      case tensorTags.uint64Data:
      case tensorTags.packedUint64Data:
        eachVarint(cursor, (value) => numbers.push(value));
        break;
      case tensorTags.floatData:
      case tensorTags.packedFloatData: {
        const floats = cursor.bytes();
        for (let at = 0; at + 4 <= floats.byteLength; at += 4) numbers.push(floats.readFloatLE(at));
        break;
      }
      case tensorTags.doubleData:
      case tensorTags.packedDoubleData: {
        const doubles = cursor.bytes();
        for (let at = 0; at + 8 <= doubles.byteLength; at += 8) numbers.push(doubles.readDoubleLE(at));
        break;
      }
    }
  });
  if (bytes !== undefined) return { kind: "bytes", bytes };
  return texts.length > 0 ? { kind: "texts", texts } : { kind: "numbers", numbers };
}

/** Types that a graph notes for values inside it. */
export function valueInfos(source: ByteSource, { span }: OnnxGraph): OnnxValue[] {
  const values: OnnxValue[] = [];
  eachField(source, span, (cursor) => {
    if (cursor.tag === graphTags.valueInfo) values.push(readValue(cursor, span));
  });
  return values;
}

function eachField(source: ByteSource, { start, end }: Span, use: (cursor: WireCursor) => void): void {
  const cursor = createWireCursor(source);
  cursor.skipTo(start);
  while (cursor.next(end)) {
    const { valueEnd } = cursor;
    use(cursor);
    cursor.skipTo(valueEnd);
  }
}

function eachVarint(cursor: WireCursor, use: (value: bigint) => void): void {
  if ((cursor.tag & 7) === wireTypes.varint) {
    cursor.made(1);
    use(cursor.bigint());
    return;
  }
  const { valueStart, valueEnd } = cursor;
  cursor.made(valueEnd - valueStart);
  while (cursor.nextPacked(valueEnd)) use(cursor.bigint());
}

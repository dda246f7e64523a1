import { type ExternalData, keptIntegers, type OnnxSparseTensor, type OnnxTensor } from "./model.ts";
import { type Span, spanOf } from "./span.ts";
import { entryTags, sparseTensorTags, tensorTags } from "./tags.ts";
import type { WireCursor } from "./wire.ts";

const int32Type = 6;
const int64Type = 7;
const externalLocation = 1;

/** Reads the tensor in the current field, of its elements only a few whole numbers. */
export function readTensor(cursor: WireCursor, parent: Span): OnnxTensor {
  const span = spanOf(cursor, parent);
  cursor.made(6);
  let name = "";
  let dataType = 0;
  let dataBytes = 0;
  let isExternal = false;
  let raw: Buffer | undefined;
  const dims: number[] = [];
  const listed: number[] = [];
  const entries = new Map<string, string>();
  const list = (target: number[], most: number) => {
    const { valueEnd } = cursor;
    while (target.length < most && cursor.nextPacked(valueEnd)) target.push(cursor.int64());
    cursor.skip();
  };
  cursor.message((end) => {
    while (cursor.next(end)) {
      const sizeBytes = cursor.valueEnd - cursor.valueStart;
      switch (cursor.tag) {
        case tensorTags.dims:
          cursor.made(1);
          dims.push(cursor.int64());
          break;
        case tensorTags.packedDims:
          cursor.made(sizeBytes);
          list(dims, Number.POSITIVE_INFINITY);
          break;
        case tensorTags.dataType:
          dataType = cursor.int32();
          break;
        case tensorTags.name:
          name = cursor.text();
          break;
        case tensorTags.rawData:
          dataBytes += sizeBytes;
          raw = sizeBytes <= 8 * keptIntegers ? cursor.bytes() : undefined;
          cursor.skip();
          break;
        case tensorTags.int32Data:
        case tensorTags.int64Data:
          dataBytes += sizeBytes;
          // One more than is kept, so that a longer list is not taken for a whole one.
          if (listed.length <= keptIntegers) listed.push(cursor.int64());
          break;
        case tensorTags.packedInt32Data:
        case tensorTags.packedInt64Data:
          dataBytes += sizeBytes;
          list(listed, keptIntegers + 1);
          break;
        case tensorTags.floatData:
        case tensorTags.packedFloatData:
        case tensorTags.doubleData:
        case tensorTags.packedDoubleData:
        case tensorTags.uint64Data:
        case tensorTags.packedUint64Data:
        case tensorTags.stringData:
          dataBytes += sizeBytes;
          cursor.skip();
          break;
        case tensorTags.externalData:
          entries.set(...readEntry(cursor));
          break;
        case tensorTags.dataLocation:
          isExternal = cursor.int32() === externalLocation;
          break;
        default:
          cursor.skip();
      }
    }
  });
  const external = isExternal || entries.size > 0 ? externalOf(entries) : null;
  const integers = external === null ? integersOf(dataType, dims, listed, raw) : undefined;
  return { name, dataType, dims, dataBytes, integers, external, span };
}

export function readSparseTensor(cursor: WireCursor, parent: Span): OnnxSparseTensor {
  const span = spanOf(cursor, parent);
  cursor.made(4);
  const parts: OnnxTensor[] = [];
  let name = "";
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === sparseTensorTags.values) {
        const values = readTensor(cursor, span);
        name = values.name;
        parts.push(values);
      } else if (cursor.tag === sparseTensorTags.indices) parts.push(readTensor(cursor, span));
      else cursor.skip();
    }
  });
  return { name, parts };
}

/** A key and its value, as metadata and places of external data are written. */
export function readEntry(cursor: WireCursor): [key: string, value: string] {
  let key = "";
  let value = "";
  cursor.made(2);
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === entryTags.key) key = cursor.text();
      else if (cursor.tag === entryTags.value) value = cursor.text();
      else cursor.skip();
    }
  });
  return [key, value];
}

function externalOf(entries: ReadonlyMap<string, string>): ExternalData {
  const length = entries.get("length");
  return {
    location: entries.get("location") ?? "",
    offset: Number(entries.get("offset") ?? 0),
    ...(length === undefined ? {} : { length: Number(length) }),
  };
}

function integersOf(
  dataType: number,
  dims: readonly number[],
  listed: readonly number[],
  raw: Buffer | undefined,
): readonly number[] | undefined {
  const count = dims.reduce((product, size) => product * size, 1);
  if ((dataType !== int32Type && dataType !== int64Type) || !(count >= 0 && count <= keptIntegers)) {
    return undefined;
  }
  const sizeBytes = dataType === int64Type ? 8 : 4;
  if (raw !== undefined && raw.byteLength === count * sizeBytes) {
    return Array.from({ length: count }, (_, index) =>
      sizeBytes === 8 ? Number(raw.readBigInt64LE(8 * index)) : raw.readInt32LE(4 * index),
    );
  }
  return listed.length === count ? listed : undefined;
}

import type { OnnxType, OnnxValue } from "./model.ts";
import { type Span, spanOf } from "./span.ts";
import {
  dimensionTags,
  elementTypeTags,
  mapTypeTags,
  shapeTags,
  tensorTypeTags,
  typeTags,
  valueTags,
} from "./tags.ts";
import type { WireCursor } from "./wire.ts";

/** Reads the input or output in the current field. */
export function readValue(cursor: WireCursor, parent: Span): OnnxValue {
  const span = spanOf(cursor, parent);
  cursor.made(6);
  let name = "";
  let type: OnnxType = { kind: "open" };
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === valueTags.name) name = cursor.text();
      else if (cursor.tag === valueTags.type) type = readType(cursor);
      else cursor.skip();
    }
  });
  return { name, type, span };
}

function readType(cursor: WireCursor): OnnxType {
  let type: OnnxType = { kind: "open" };
  cursor.made(2);
  cursor.message((end) => {
    while (cursor.next(end)) {
      switch (cursor.tag) {
        case typeTags.tensor:
          type = readTensorType(cursor, "tensor");
          break;
        case typeTags.sparseTensor:
          type = readTensorType(cursor, "sparse");
          break;
        case typeTags.sequence:
          type = { kind: "sequence", element: readElementType(cursor) };
          break;
        case typeTags.optional:
          type = { kind: "optional", element: readElementType(cursor) };
          break;
        case typeTags.map:
          type = readMapType(cursor);
          break;
        case typeTags.opaque:
          type = { kind: "opaque" };
          cursor.skip();
          break;
        default:
          cursor.skip();
      }
    }
  });
  return type;
}

function readTensorType(cursor: WireCursor, kind: "tensor" | "sparse"): OnnxType {
  let elementType = 0;
  let shape: (number | string | null)[] | null = null;
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === tensorTypeTags.elementType) elementType = cursor.int32();
      else if (cursor.tag === tensorTypeTags.shape) shape = [...(shape ?? []), ...readShape(cursor)];
      else cursor.skip();
    }
  });
  return { kind, elementType, shape };
}

function readShape(cursor: WireCursor): (number | string | null)[] {
  const dims: (number | string | null)[] = [];
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === shapeTags.dim) dims.push(readDimension(cursor));
      else cursor.skip();
    }
  });
  return dims;
}

function readDimension(cursor: WireCursor): number | string | null {
  let dim: number | string | null = null;
  cursor.made(1);
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === dimensionTags.value) dim = cursor.int64();
      else if (cursor.tag === dimensionTags.name) dim = cursor.text();
      else cursor.skip();
    }
  });
  return dim;
}

function readElementType(cursor: WireCursor): OnnxType {
  let type: OnnxType = { kind: "open" };
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === elementTypeTags.elementType) type = readType(cursor);
      else cursor.skip();
    }
  });
  return type;
}

function readMapType(cursor: WireCursor): OnnxType {
  let keyType = 0;
  let value: OnnxType = { kind: "open" };
  cursor.message((end) => {
    while (cursor.next(end)) {
      if (cursor.tag === mapTypeTags.keyType) keyType = cursor.int32();
      else if (cursor.tag === mapTypeTags.valueType) value = readType(cursor);
      else cursor.skip();
    }
  });
  return { kind: "map", keyType, value };
}

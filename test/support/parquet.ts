/**
 * Parquet files written by hand, in Thrift's compact protocol, for tests: every length and type in them may lie.
 * https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
 */
export type ThriftValue =
  | { readonly kind: "i32" | "i64"; readonly value: number | bigint }
  | { readonly kind: "text"; readonly value: string | Uint8Array }
  | {
      readonly kind: "list";
      readonly of: "i32" | "text" | "struct";
      readonly values: readonly ThriftValue[];
      readonly claimed?: number;
    }
  | { readonly kind: "struct"; readonly fields: ThriftFields };
/** By the number of the field, ascending. */
export type ThriftFields = readonly (readonly [number, ThriftValue])[];

export const i32 = (value: number): ThriftValue => ({ kind: "i32", value });
export const i64 = (value: number | bigint): ThriftValue => ({ kind: "i64", value });
export const text = (value: string | Uint8Array): ThriftValue => ({ kind: "text", value });
export const struct = (...fields: ThriftFields): ThriftValue => ({ kind: "struct", fields });
export const list = (
  of: "i32" | "text" | "struct",
  values: readonly ThriftValue[],
  claimed?: number,
): ThriftValue => ({ kind: "list", of, values, ...(claimed === undefined ? {} : { claimed }) });

const typeIds = { i32: 5, i64: 6, text: 8, list: 9, struct: 12 } as const;

export function thrift(fields: ThriftFields): Uint8Array {
  const parts: Uint8Array[] = [];
  writeStruct(parts, fields);
  return Buffer.concat(parts);
}

function writeStruct(parts: Uint8Array[], fields: ThriftFields): void {
  let before = 0;
  for (const [id, value] of fields) {
    const delta = id - before;
    const type = typeIds[value.kind];
    if (delta > 0 && delta < 16) parts.push(Uint8Array.of((delta << 4) | type));
    else parts.push(Uint8Array.of(type), varint(zigzag(id)));
    writeValue(parts, value);
    before = id;
  }
  parts.push(Uint8Array.of(0));
}

function writeValue(parts: Uint8Array[], value: ThriftValue): void {
  switch (value.kind) {
    case "i32":
    case "i64":
      parts.push(varint(zigzag(value.value)));
      return;
    case "text": {
      const bytes = typeof value.value === "string" ? new TextEncoder().encode(value.value) : value.value;
      parts.push(varint(BigInt(bytes.byteLength)), bytes);
      return;
    }
    case "list": {
      const size = value.claimed ?? value.values.length;
      const type = typeIds[value.of];
      if (size < 15) parts.push(Uint8Array.of((size << 4) | type));
      else parts.push(Uint8Array.of(0xf0 | type), varint(BigInt(size)));
      for (const each of value.values) writeValue(parts, each);
      return;
    }
    case "struct":
      writeStruct(parts, value.fields);
  }
}

function zigzag(value: number | bigint): bigint {
  const wide = BigInt(value);
  return BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n));
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** `type` 1 is INT32; a group has none, but children. */
export function schemaElement(
  name: string,
  shape: { type?: number; children?: number; repetition?: number },
): ThriftValue {
  const fields: (readonly [number, ThriftValue])[] = [];
  if (shape.type !== undefined) fields.push([1, i32(shape.type)]);
  if (shape.repetition !== undefined) fields.push([3, i32(shape.repetition)]);
  fields.push([4, text(name)]);
  if (shape.children !== undefined) fields.push([5, i32(shape.children)]);
  return struct(...fields);
}

export interface ParquetLies {
  readonly schema: readonly ThriftValue[];
  readonly rows?: number | bigint;
  readonly rowGroups?: readonly ThriftValue[];
  /** What lies before the footer, after the magic bytes. */
  readonly pages?: Uint8Array;
  readonly claimedRowGroups?: number;
  readonly claimedSchema?: number;
}

/** A file of this footer, whatever it says. */
export function parquetFile(lies: ParquetLies): Uint8Array<ArrayBuffer> {
  const { schema, rows = 0, rowGroups = [], pages = new Uint8Array() } = lies;
  const footer = thrift([
    [1, i32(1)],
    [2, list("struct", schema, lies.claimedSchema)],
    [3, i64(rows)],
    [4, list("struct", rowGroups, lies.claimedRowGroups)],
  ]);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, footer.byteLength, true);
  const magic = new TextEncoder().encode("PAR1");
  return new Uint8Array(Buffer.concat([magic, pages, footer, length, magic]));
}

/** A schema whose one column lies `depth` groups deep. */
export function nestedSchema(depth: number): ThriftValue[] {
  const group = schemaElement("g", { children: 1, repetition: 1 });
  return [
    schemaElement("root", { children: 1 }),
    ...Array.from({ length: depth }, () => group),
    schemaElement("x", { type: 1, repetition: 1 }),
  ];
}

export interface PageLies {
  readonly rows: number | bigint;
  /** In the header of the page. */
  readonly uncompressedBytes?: number;
  readonly compressedBytes?: number;
  readonly values?: number;
  /** 0 is PLAIN, 2 PLAIN_DICTIONARY, 8 RLE_DICTIONARY. */
  readonly encoding?: number;
  /** 0 is UNCOMPRESSED, 1 SNAPPY, 2 GZIP, 6 ZSTD. */
  readonly codec?: number;
  readonly data: Uint8Array;
  /** 0 is a data page, 2 a dictionary. */
  readonly pageType?: number;
  readonly type?: number;
}

/** One required column `x` in one page. */
export function onePage(lies: PageLies): Uint8Array<ArrayBuffer> {
  const { rows, data, values = Number(rows), encoding = 0, codec = 0, pageType = 0, type = 1 } = lies;
  const sizes = [
    [2, i32(lies.uncompressedBytes ?? data.byteLength)],
    [3, i32(lies.compressedBytes ?? data.byteLength)],
  ] as const;
  const header =
    pageType === 2
      ? thrift([[1, i32(2)], ...sizes, [7, struct([1, i32(values)], [2, i32(encoding)])]])
      : thrift([
          [1, i32(pageType)],
          ...sizes,
          [5, struct([1, i32(values)], [2, i32(encoding)], [3, i32(3)], [4, i32(3)])],
        ]);
  const pages = Buffer.concat([header, data]);
  const metaData = struct(
    [1, i32(type)],
    [2, list("i32", [i32(encoding)])],
    [3, list("text", [text("x")])],
    [4, i32(codec)],
    [5, i64(values)],
    [6, i64(lies.uncompressedBytes ?? pages.byteLength)],
    [7, i64(pages.byteLength)],
    [9, i64(4)],
    ...(pageType === 2 ? ([[11, i64(4)]] as const) : []),
  );
  const column = struct([2, i64(4)], [3, metaData]);
  return parquetFile({
    schema: [schemaElement("root", { children: 1 }), schemaElement("x", { type, repetition: 0 })],
    rows,
    pages,
    rowGroups: [struct([1, list("struct", [column])], [2, i64(pages.byteLength)], [3, i64(rows)])],
  });
}

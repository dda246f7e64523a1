import { endianness } from "node:os";
import { invalid, unsupported } from "../../../shared/errors.ts";
import {
  type Datatype,
  elementCount,
  elementType,
  type NumberData,
  shapeText,
  type Tensor,
} from "../tensors/tensors.ts";

/*
 * Tensors as bytes: little-endian, row-major, no padding; BYTES are each a 32-bit length and that many bytes of UTF-8;
 * BOOL is one byte. (Triton's binary tensor data extension.)
 */

/**
 * The tensor takes the bytes themselves where they lie at a multiple of an element's size, else a copy.
 *
 * @param bytes belong to the tensor from then on
 * @throws invalid when the bytes are not exactly what the shape and the datatype need
 */
export function tensorFromBytes(
  datatype: Datatype,
  shape: readonly number[],
  bytes: Uint8Array,
  where: string,
): Tensor {
  const count = elementCount(shape);
  if (datatype === "BYTES") return { datatype, shape, data: textsFromBytes(bytes, count, where) };
  const { sizeBytes, view } = elementType(datatype);
  if (bytes.byteLength !== count * sizeBytes) {
    throw invalid(
      `${where} has ${bytes.byteLength} bytes; its shape ${shapeText(shape)} of ${datatype} needs ${count * sizeBytes}.`,
    );
  }
  requireLittleEndian();
  const isAligned = bytes.byteOffset % sizeBytes === 0;
  const { buffer, byteOffset } = isAligned ? bytes : new Uint8Array(bytes);
  const data = view(buffer, byteOffset, count);
  if (datatype === "BOOL") {
    const flags = data as Uint8Array;
    for (let i = 0; i < count; i++) if ((flags[i] ?? 0) > 1) flags[i] = 1;
  }
  return { datatype, shape, data };
}

export function bytesOfTensor({ datatype, data }: Tensor): Uint8Array {
  return datatype === "BYTES" ? bytesOfTexts(data as readonly string[]) : bytesOf(data as Uint8Array);
}

function requireLittleEndian(): void {
  if (endianness() !== "LE") throw unsupported("Binary tensors need a little-endian processor.");
}

function bytesOf(data: NumberData): Uint8Array {
  requireLittleEndian();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function textsFromBytes(bytes: Uint8Array, count: number, where: string): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const texts: string[] = [];
  let offset = 0;
  while (offset < bytes.byteLength) {
    const start = offset + 4;
    const end = start <= bytes.byteLength ? start + view.getUint32(offset, true) : Number.POSITIVE_INFINITY;
    if (end > bytes.byteLength || texts.length === count) break;
    try {
      texts.push(decoder.decode(bytes.subarray(start, end)));
    } catch {
      throw invalid(`${where}: element ${texts.length} is not UTF-8.`);
    }
    offset = end;
  }
  if (texts.length !== count || offset !== bytes.byteLength) {
    throw invalid(
      `${where}: its ${bytes.byteLength} bytes are not ${count} elements of BYTES, each a 32-bit length and that many bytes.`,
    );
  }
  return texts;
}

function bytesOfTexts(texts: readonly string[]): Uint8Array {
  const encoder = new TextEncoder();
  const parts = texts.map((text) => encoder.encode(text));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.byteLength, 0));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const part of parts) {
    view.setUint32(offset, part.byteLength, true);
    bytes.set(part, offset + 4);
    offset += 4 + part.byteLength;
  }
  return bytes;
}

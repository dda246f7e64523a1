import { invalid, tooLarge } from "../errors.ts";
import type { ByteSource } from "./source.ts";

/*
 * Protobuf's wire format (protobuf.dev/programming-guides/encoding), read where it lies: a field that nobody asks for is
 * stepped over, however long it is. Where the format allows two readings this one is that of the C++ parser of ONNX
 * Runtime, so that a file cannot show one model to the checks and another to the runtime.
 */

/** How a field is written; the tag of a field is its number times eight plus this. */
export const wireTypes = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const;

/** The C++ parser refuses what is nested deeper. */
const maxDepth = 100;

/** What is read at once of a file. */
const windowBytes = 256 * 1024;
/** A tag has up to 5 bytes, the varint behind it up to 10. */
const fieldHeadBytes = 16;

/** What reading may make in memory, in units of about 40 bytes. A model of 100,000 nodes takes some two million. */
const maxParts = 4_000_000;
const bytesPerPart = 40;

export interface WireCursor {
  /** Where the next byte is read. */
  readonly position: number;
  /** Number and wire type of the current field, as one number: see `wireTypes`. */
  readonly tag: number;
  /** Where the current field begins: its tag. */
  readonly fieldStart: number;
  /** Where the length of the current field begins, if it has one. */
  readonly lengthStart: number;
  /** Where the content of the current field begins and ends. */
  readonly valueStart: number;
  readonly valueEnd: number;
  /**
   * Goes to the next field of a message that ends at `end`.
   *
   * @returns false when there is none
   * @throws invalid for what is no protobuf
   */
  next(end: number): boolean;
  /** Steps over the current field, or over what is left of it. */
  skip(): void;
  /** Goes on at a later byte. */
  skipTo(position: number): void;
  /** Has `read` read the message in the current field, which ends at `end`. */
  message<Result>(read: (end: number) => Result): Result;
  /** The current varint as a signed integer of 64 bits; beyond 2^53 it is rounded. */
  int64(): number;
  /** The same exactly. */
  bigint(): bigint;
  /** The current varint as a signed integer of 32 bits: what is above them is dropped. */
  int32(): number;
  float(): number;
  text(): string;
  bytes(): Buffer;
  /** Goes to the next varint of a packed list that ends at `end`. @returns false when there is none */
  nextPacked(end: number): boolean;
  /**
   * Steps over the entries of a list that follow with the current tag, which is one of a single byte: a forest has
   * millions of them.
   *
   * @returns how many there were
   */
  skipSame(end: number): number;
  /** Counts something that is made in memory. @throws tooLarge when it becomes too much */
  made(parts: number): void;
}

export function createWireCursor(source: ByteSource): WireCursor {
  return new Cursor(source);
}

class Cursor implements WireCursor {
  readonly #source: ByteSource;
  /** The bytes from `#windowStart` on; `#at` is the place in it. */
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;
  #at = 0;
  #depth = 0;
  #parts = 0;
  /** Of the varint that was read last, its lower and its upper 32 bits. */
  #low = 0;
  #high = 0;
  tag = 0;
  fieldStart = 0;
  lengthStart = 0;
  valueStart = 0;
  valueEnd = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get position(): number {
    return this.#windowStart + this.#at;
  }

  next(end: number): boolean {
    this.#ensure(fieldHeadBytes);
    this.fieldStart = this.position;
    if (this.fieldStart >= end) {
      if (this.fieldStart > end) throw broken(`a field goes beyond its message at byte ${end}`);
      return false;
    }
    this.#varint(5);
    this.tag = this.#low;
    if (this.tag >>> 3 === 0 || this.#high !== 0)
      throw broken(`there is no field at byte ${this.fieldStart}`);
    this.lengthStart = this.position;
    this.valueStart = this.lengthStart;
    switch (this.tag & 7) {
      case wireTypes.varint:
        this.#varint(10);
        this.valueEnd = this.position;
        break;
      case wireTypes.fixed64:
        this.valueEnd = this.valueStart + 8;
        break;
      case wireTypes.fixed32:
        this.valueEnd = this.valueStart + 4;
        break;
      case wireTypes.lengthDelimited: {
        this.#varint(10);
        this.valueStart = this.position;
        this.valueEnd = this.valueStart + this.#high * 2 ** 32 + this.#low;
        break;
      }
      default:
        throw broken(`the field at byte ${this.fieldStart} is a group, which ONNX has none of`);
    }
    if (this.valueEnd > end) {
      throw broken(
        `the field at byte ${this.fieldStart} ends at byte ${this.valueEnd}, beyond its message, which ends at ${end}`,
      );
    }
    return true;
  }

  skip(): void {
    this.#goTo(this.valueEnd);
  }

  skipTo(position: number): void {
    this.#goTo(position);
  }

  message<Result>(read: (end: number) => Result): Result {
    if (++this.#depth > maxDepth) throw broken(`it is nested deeper than ${maxDepth} levels`);
    const result = read(this.valueEnd);
    this.#depth--;
    return result;
  }

  int64(): number {
    return (this.#high | 0) * 2 ** 32 + this.#low;
  }

  bigint(): bigint {
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(this.#low));
  }

  int32(): number {
    return this.#low | 0;
  }

  float(): number {
    const value = this.#window.readFloatLE(this.#at);
    this.#at += 4;
    return value;
  }

  text(): string {
    const length = this.valueEnd - this.valueStart;
    this.made(1 + Math.ceil(length / bytesPerPart));
    if (length === 0) return "";
    this.#ensure(length);
    const text = this.#window.toString("utf8", this.#at, this.#at + length);
    this.#at += length;
    return text;
  }

  bytes(): Buffer {
    const length = this.valueEnd - this.valueStart;
    this.made(1 + Math.ceil(length / bytesPerPart));
    const bytes = Buffer.from(this.#source.read(this.valueStart, length));
    this.skip();
    return bytes;
  }

  nextPacked(end: number): boolean {
    if (this.position >= end) return false;
    this.#ensure(fieldHeadBytes);
    this.#varint(10);
    if (this.position > end) throw broken(`a list ends in the middle of a number at byte ${end}`);
    return true;
  }

  skipSame(end: number): number {
    const { tag } = this;
    const kind = tag & 7;
    let count = 0;
    while (this.position < end) {
      this.#ensure(fieldHeadBytes);
      const window = this.#window;
      // Whole fields only: the head of the last one may lie across the window's end.
      const isLast = this.#windowStart + window.length >= end;
      const stop = isLast ? end - this.#windowStart - (fieldHeadBytes - 1) : window.length - fieldHeadBytes;
      let at = this.#at;
      const before = count;
      if (kind === wireTypes.varint) {
        while (at < stop && window[at] === tag) {
          let next = at + 1;
          while ((window[next] ?? 0) > 127) if (++next > at + 10) break;
          if (next > at + 10) break;
          at = next + 1;
          count++;
        }
      } else if (kind === wireTypes.fixed32) {
        for (; at < stop && window[at] === tag; at += 5) count++;
      } else if (kind === wireTypes.lengthDelimited) {
        // Those of short length; the others take the long way.
        while (at < stop && window[at] === tag) {
          const length = window[at + 1] ?? 128;
          if (length > 127 || this.#windowStart + at + 2 + length > end) break;
          at += 2 + length;
          count++;
        }
      }
      this.#goTo(this.#windowStart + at);
      if (count > before) continue;
      // One at a time at the ends of the window, and whatever is unusual.
      const start = this.position;
      if (!this.next(end)) return count;
      if (this.tag !== tag) {
        this.#goTo(start);
        return count;
      }
      this.skip();
      count++;
    }
    return count;
  }

  made(parts: number): void {
    this.#parts += parts;
    if (this.#parts > maxParts) {
      throw tooLarge("The ONNX model has more nodes, names and attributes than are read here.");
    }
  }

  /** Makes sure that the next bytes lie in the window, as far as there are so many. */
  #ensure(length: number): void {
    if (this.#at + length <= this.#window.length) return;
    const start = this.position;
    const left = this.#source.sizeBytes - start;
    if (left <= this.#window.length - this.#at) return;
    this.#window = this.#source.read(start, Math.min(left, Math.max(length, windowBytes)));
    this.#windowStart = start;
    this.#at = 0;
  }

  #goTo(position: number): void {
    this.#at = position - this.#windowStart;
    if (this.#at <= this.#window.length && this.#at >= 0) return;
    this.#window = Buffer.alloc(0);
    this.#windowStart = position;
    this.#at = 0;
  }

  #varint(maxBytes: number): void {
    const window = this.#window;
    let at = this.#at;
    let byte = window[at++];
    if (byte !== undefined && byte < 128) {
      this.#low = byte;
      this.#high = 0;
      this.#at = at;
      return;
    }
    let low = 0;
    let high = 0;
    for (let index = 0; ; index++) {
      if (byte === undefined) throw broken(`it ends in the middle of a number at byte ${this.position}`);
      if (index === maxBytes) throw broken(`the number at byte ${this.position} is too long`);
      const bits = byte & 127;
      if (index < 4) low += bits * 2 ** (7 * index);
      else if (index === 4) {
        low += (bits & 15) * 2 ** 28;
        high = bits >>> 4;
      } else if (index < 9) high += bits * 2 ** (7 * index - 32);
      else high += (bits & 1) * 2 ** 31;
      if (byte < 128) break;
      byte = window[at++];
    }
    this.#low = low;
    this.#high = high >>> 0;
    this.#at = at;
  }
}

function broken(why: string) {
  return invalid(`The file is not an ONNX model: ${why}.`);
}

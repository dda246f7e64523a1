import type { ByteSource } from "./source.ts";
import type { Span } from "./span.ts";

/*
 * Changes a model where its bytes lie: what is not changed is copied as it is, and only the lengths of the messages
 * around a change are written anew. Decoding and encoding the whole would take minutes for a forest, and would lose what
 * the schema does not know.
 */

/** Bytes in the place of others. */
export interface Edit {
  readonly start: number;
  /** `start` where something is put in between. */
  readonly end: number;
  readonly bytes: Uint8Array;
  /** The message that these bytes are fields of. */
  readonly inside: Span;
}

export function replaced({ fieldStart, end, parent }: Span, bytes: Uint8Array): Edit {
  if (parent === null) throw new RangeError("A model lies in no other message.");
  return { start: fieldStart, end, bytes, inside: parent };
}

export function removed(span: Span): Edit {
  return replaced(span, new Uint8Array(0));
}

/** Adds fields to a message, behind its others. */
export function appended(inside: Span, bytes: Uint8Array): Edit {
  return { start: inside.end, end: inside.end, bytes, inside };
}

const copiedAtOnce = 1024 ** 2;

/**
 * The bytes of the model with the edits made, in pieces.
 *
 * @param edits must not overlap
 */
export function* spliced(source: ByteSource, edits: readonly Edit[]): Generator<Uint8Array> {
  const depth = ({ inside }: Edit) => enclosing(inside).length;
  const all = [...edits, ...newLengths(edits)].sort(
    (a, b) => a.start - b.start || a.end - b.end || depth(b) - depth(a),
  );
  let at = 0;
  for (const { start, end, bytes } of all) {
    if (start < at) throw new RangeError(`Two changes overlap at byte ${start}.`);
    yield* copied(source, at, start);
    if (bytes.byteLength > 0) yield bytes;
    at = end;
  }
  yield* copied(source, at, source.sizeBytes);
}

function* copied(source: ByteSource, start: number, end: number): Generator<Uint8Array> {
  for (let at = start; at < end; at += copiedAtOnce) {
    yield source.read(at, Math.min(copiedAtOnce, end - at));
  }
}

/** The new length of every message that a change lies in; the inner ones first, since their own size changes the outer. */
function newLengths(edits: readonly Edit[]): Edit[] {
  const growth = new Map<Span, number>();
  const grow = (span: Span, bytes: number) => growth.set(span, (growth.get(span) ?? 0) + bytes);
  for (const { start, end, bytes, inside } of edits) grow(inside, bytes.byteLength - (end - start));
  const lengths: Edit[] = [];
  const byDepth = [...new Set(edits.flatMap(({ inside }) => enclosing(inside)))].sort(
    (a, b) => enclosing(b).length - enclosing(a).length,
  );
  for (const span of byDepth) {
    const { lengthStart, start, end, parent } = span;
    if (parent === null) continue;
    const bytes = varintBytes(end - start + (growth.get(span) ?? 0));
    lengths.push({ start: lengthStart, end: start, bytes, inside: parent });
    grow(parent, (growth.get(span) ?? 0) + bytes.byteLength - (start - lengthStart));
  }
  return lengths;
}

/** A span with those around it. */
function enclosing(span: Span): Span[] {
  const spans: Span[] = [];
  for (let at: Span | null = span; at !== null; at = at.parent) spans.push(at);
  return spans;
}

/** A number as protobuf writes it: seven bits to a byte, the lowest first. */
export function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  while (left > 127) {
    bytes.push((left % 128) + 128);
    left = Math.floor(left / 128);
  }
  bytes.push(left);
  return Uint8Array.from(bytes);
}

/** A field of text, bytes, or a message of such fields. @param tag see `tags.ts` */
export function fieldBytes(tag: number, ...content: readonly (string | Uint8Array)[]): Uint8Array {
  const parts = content.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part));
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  return Buffer.concat([varintBytes(tag), varintBytes(length), ...parts]);
}

/** A field of a whole number from 0. */
export function numberBytes(tag: number, value: number): Uint8Array {
  return Buffer.concat([varintBytes(tag), varintBytes(value)]);
}

import type { WireCursor } from "./wire.ts";

/** Where a message lies in the file, so that it can be replaced there without writing the rest again. */
export interface Span {
  /** The first byte of its field: the tag. */
  readonly fieldStart: number;
  /** The first byte of its length. */
  readonly lengthStart: number;
  /** The first byte of its content. */
  readonly start: number;
  /** The byte behind its content. */
  readonly end: number;
  /** The message that it lies in; null for the model. */
  readonly parent: Span | null;
}

/** Of the current field. */
export function spanOf({ fieldStart, lengthStart, valueStart, valueEnd }: WireCursor, parent: Span): Span {
  return { fieldStart, lengthStart, start: valueStart, end: valueEnd, parent };
}

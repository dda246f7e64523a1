export interface ByteRange {
  readonly offset: number;
  /** At least 1; to the end when not given. */
  readonly length?: number;
}

/** The range of a body that came whole, because the server does not answer ranges. What follows it is not read. */
export function cut(
  body: ReadableStream<Uint8Array>,
  { offset, length = Number.POSITIVE_INFINITY }: ByteRange,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let toSkip = offset;
  let toGive = length;
  return new ReadableStream<Uint8Array>({
    async pull(stream) {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return stream.close();
        const kept = value.subarray(Math.min(toSkip, value.length)).subarray(0, toGive);
        toSkip -= Math.min(toSkip, value.length);
        toGive -= kept.length;
        if (kept.length > 0) stream.enqueue(kept);
        if (toGive <= 0) {
          stream.close();
          await reader.cancel();
        }
        if (kept.length > 0 || toGive <= 0) return;
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

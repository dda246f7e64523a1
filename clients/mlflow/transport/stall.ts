/** Ends a call in which nothing has moved for a while; a transfer that moves may take as long as it needs. */
export interface StallWatch {
  /** Aborted by the caller's signal, or with a `Stalled`. */
  readonly signal: AbortSignal;
  /** Passes a body on and counts each of its chunks as movement. */
  through(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array>;
  /** The same, and the watch ends with the body. */
  untilEnd(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array>;
  stop(): void;
  /** Closes what bodies are read from, also where whoever was to read them never began. */
  drop(): void;
}

export class Stalled extends Error {}

export function watchForStalls(limitMs: number, caller: AbortSignal | undefined): StallWatch {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const move = () => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(new Stalled(`Nothing moved for ${limitMs} ms.`)), limitMs);
  };
  const onAbort = () => controller.abort(caller?.reason);
  const stop = () => {
    clearTimeout(timer);
    caller?.removeEventListener("abort", onAbort);
  };
  if (caller?.aborted) onAbort();
  else {
    caller?.addEventListener("abort", onAbort, { once: true });
    move();
  }

  const sources: ReadableStreamDefaultReader<Uint8Array>[] = [];
  const relay = (body: ReadableStream<Uint8Array>, ended: () => void): ReadableStream<Uint8Array> => {
    const reader = body.getReader();
    sources.push(reader);
    return new ReadableStream<Uint8Array>(
      {
        async pull(stream) {
          try {
            const { done, value } = await reader.read();
            if (!done) {
              move();
              return stream.enqueue(value);
            }
            ended();
            stream.close();
          } catch (error) {
            ended();
            stream.error(error);
          }
        },
        async cancel(reason) {
          ended();
          await reader.cancel(reason);
        },
      },
      { highWaterMark: 0 },
    );
  };
  return {
    signal: controller.signal,
    through: (body) => relay(body, () => {}),
    untilEnd: (body) => relay(body, stop),
    stop,
    drop: () => {
      for (const source of sources) source.cancel().catch(() => {});
    },
  };
}

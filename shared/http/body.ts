import { invalid, isKetlineError, tooLarge, unavailable } from "../errors.ts";
import { parseStorableJson } from "./json.ts";
import type { RequestHead } from "./route.ts";

/**
 * Reads a body whole, up to a limit.
 *
 * @param alignedAt as for `wholeBody`
 * @throws tooLarge past the limit, without reading on.
 */
export function readBytes(request: RequestHead, maxBytes: number, alignedAt?: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > maxBytes) return Promise.reject(exceeds(maxBytes, declared));
  // A body of declared length cannot be longer.
  if (declared > 0 && request.wholeBody !== undefined) return request.wholeBody(alignedAt);
  return readPieces(request, maxBytes, declared).catch((error: unknown) => {
    // Whoever went away in the middle of a body gets no answer, and it is no fault of the server.
    throw isKetlineError(error) ? error : unavailable("The request was given up.", { cause: error });
  });
}

async function readPieces(request: RequestHead, maxBytes: number, declared: number): Promise<Uint8Array> {
  // Reading it at once costs a third of reading it as a stream.
  if (declared > 0) {
    const body = new Uint8Array(await request.arrayBuffer());
    if (body.byteLength > maxBytes) throw exceeds(maxBytes, body.byteLength);
    return body;
  }
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.byteLength;
    if (size > maxBytes) throw exceeds(maxBytes, size);
    chunks.push(chunk);
  }
  if (chunks.length === 1 && chunks[0] !== undefined) return chunks[0];
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

/**
 * Reads a JSON body up to a limit; an empty body is `undefined`.
 *
 * @throws invalid when it is not JSON in UTF-8, nests too deep or has a text that cannot be stored.
 */
export async function readJson(request: RequestHead, maxBytes: number): Promise<unknown> {
  const bytes = await readBytes(request, maxBytes);
  if (bytes.byteLength === 0) return undefined;
  try {
    return parseStorableJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    if (isKetlineError(error)) throw error;
    throw invalid(`The body is not JSON in UTF-8: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Passes a stream on and fails it with tooLarge once it exceeds the limit. */
export function limitBytes(stream: ReadableStream<Uint8Array>, maxBytes: number): ReadableStream<Uint8Array> {
  let size = 0;
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        size += chunk.byteLength;
        if (size > maxBytes) controller.error(exceeds(maxBytes, size));
        else controller.enqueue(chunk);
      },
    }),
  );
}

function exceeds(maxBytes: number, seen: number) {
  return tooLarge(`The body has ${seen} bytes or more; at most ${maxBytes} are taken here.`);
}

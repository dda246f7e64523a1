import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { invalid, tooLarge } from "../../../shared/errors.ts";
import { type RawReply, type RequestHead, readBytes } from "../../../shared/http/index.ts";
import type { InferResponse, Timings } from "./data-plane.ts";
import { servedByHeaders } from "./served-by.ts";

/** The most that a body may have, before and after it is unpacked. */
export const maxBodyBytes = 64 * 1024 ** 2;

/** An answer with predictions, its headers naming who answered and what took how long. */
export function predicted(
  { servedBy, timings }: InferResponse,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>>,
): RawReply {
  return {
    status: 200,
    raw: body,
    headers: { ...headers, ...servedByHeaders(servedBy), "server-timing": serverTiming(timings) },
  };
}

const unpackers: Readonly<Record<string, (bytes: Uint8Array, options: object) => Promise<Uint8Array>>> = {
  gzip: promisify(gunzip) as (bytes: Uint8Array, options: object) => Promise<Uint8Array>,
  deflate: promisify(inflate) as (bytes: Uint8Array, options: object) => Promise<Uint8Array>,
};

/** Reads the body, unpacked where it was packed. @throws too_large; invalid when it does not unpack */
export function readBody(request: RequestHead, alignedAt?: number): Promise<Uint8Array> {
  const bytes = readBytes(request, maxBodyBytes, alignedAt);
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase();
  return encoding === undefined || encoding === "" || encoding === "identity"
    ? bytes
    : unpacked(bytes, encoding);
}

async function unpacked(packed: Promise<Uint8Array>, encoding: string): Promise<Uint8Array> {
  const bytes = await packed;
  const unpack = Object.hasOwn(unpackers, encoding) ? unpackers[encoding] : undefined;
  if (unpack === undefined) {
    throw invalid(`content-encoding is "${encoding}"; gzip, deflate or none would be right.`);
  }
  try {
    return await unpack(bytes, { maxOutputLength: maxBodyBytes });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(`The body has more than ${maxBodyBytes} bytes unpacked.`);
    throw invalid(`The body does not unpack as ${encoding}.`);
  }
}

function serverTiming({ routeMs, loadMs, decodeMs, waitMs, runMs }: Timings): string {
  return (
    `route;dur=${micros(routeMs)}, load;dur=${micros(loadMs)}, decode;dur=${micros(decodeMs)}, ` +
    `wait;dur=${micros(waitMs)}, run;dur=${micros(runMs)}`
  );
}

/** Milliseconds to the microsecond. */
function micros(ms: number): number {
  return Math.round(Math.max(0, ms) * 1000) / 1000;
}

import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { invalid, isKetlineError, tooLarge } from "../../shared/errors.ts";
import {
  type Call,
  errorReply,
  type Protocol,
  type RawReply,
  type RequestHead,
  readBytes,
} from "../../shared/http/index.ts";
import type { InferResponse, ServedBy, Timings } from "./data-plane.ts";

/** The most that a body may have, before and after it is unpacked. */
export const maxBodyBytes = 64 * 1024 ** 2;

/**
 * Answers a request for predictions: as `work` says or, when it fails, as the protocol writes errors. Either way the
 * headers tell who answered.
 */
export async function answering(
  call: Pick<Call, "requestId">,
  protocol: Protocol,
  work: (onServedBy: (servedBy: ServedBy) => void) => Promise<RawReply>,
): Promise<RawReply> {
  let servedBy: ServedBy | undefined;
  try {
    return await work((known) => {
      servedBy = known;
    });
  } catch (error) {
    if (!isKetlineError(error)) throw error;
    const { status, body, contentType, headers } = errorReply(protocol, error, call.requestId);
    const who = servedBy === undefined ? {} : servedByHeaders(servedBy);
    return {
      status,
      raw: JSON.stringify(body),
      headers: { ...headers, ...who, "content-type": contentType },
    };
  }
}

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

function servedByHeaders(servedBy: ServedBy): Record<string, string> {
  const { modelName, modelVersion, deployment, revision, variant } = servedBy;
  const headers: Record<string, string> = {
    "ketline-model": headerText(modelName),
    "ketline-model-version": modelVersion,
  };
  if (deployment !== null) headers["ketline-deployment"] = headerText(deployment);
  if (revision !== null) headers["ketline-revision"] = String(revision);
  if (variant !== null) headers["ketline-variant"] = headerText(variant);
  return headers;
}

/** Header values are Latin-1 without control characters; a name that is more goes out percent-encoded. */
function headerText(name: string): string {
  return /^[\x20-\x7e]*$/.test(name) ? name : encodeURIComponent(name);
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

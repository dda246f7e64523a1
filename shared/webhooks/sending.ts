import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import type { LookupFunction } from "node:net";
import { hostOf, isPrivateHost, isPublicAddress } from "./addresses.ts";

/** Finds the addresses of a name. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface SendingOptions {
  /** Also http, and addresses that are not public. */
  readonly allowPrivate: boolean;
  /** For one whole try: name, connection, request and answer. */
  readonly timeoutMs: number;
  /** The system's resolver by default. */
  readonly resolve?: Resolve | undefined;
}

/** What became of one try. */
export type Sent =
  | {
      readonly kind: "answered";
      readonly status: number;
      /** Its first 64 KiB. */
      readonly body: string;
      readonly retryAfter: string | undefined;
    }
  /** It may not be sent there. */
  | { readonly kind: "refused"; readonly error: string }
  /** Nobody answered, or not in time. */
  | { readonly kind: "failed"; readonly error: string }
  /** The caller's signal came first. */
  | { readonly kind: "interrupted" };

const maxAnswerBytes = 64 * 1024;

/**
 * Posts a JSON body once. Redirects are not followed, nothing but the given headers goes out (no proxy, no credentials
 * of the environment), and the address is judged when it is about to be connected to: the connection uses exactly the
 * addresses that were judged, so a name that means something else a moment later gains nothing.
 */
export async function send(
  options: SendingOptions,
  request: {
    readonly url: string;
    readonly body: string;
    readonly headers: Readonly<Record<string, string>>;
  },
  signal: AbortSignal,
): Promise<Sent> {
  const { allowPrivate, timeoutMs } = options;
  const url = new URL(request.url);
  const refused = refusalOf(url, allowPrivate);
  if (refused !== undefined) return { kind: "refused", error: refused };
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await post(url, request, guardedLookup(options), AbortSignal.any([signal, timeout]));
    return {
      kind: "answered",
      status: response.statusCode ?? 0,
      body: await readSome(response),
      retryAfter: response.headers["retry-after"],
    };
  } catch (error) {
    if (signal.aborted) return { kind: "interrupted" };
    if (timeout.aborted) return { kind: "failed", error: `No answer within ${timeoutMs / 1000} s.` };
    if (error instanceof AddressRefused) return { kind: "refused", error: error.message };
    return { kind: "failed", error: reasonOf(error) };
  }
}

/** Why a URL may not be sent to, as far as it can be told from itself. */
export function refusalOf(url: URL, allowPrivate: boolean): string | undefined {
  const schemes = allowPrivate ? ["https", "http"] : ["https"];
  const scheme = url.protocol.slice(0, -1);
  if (!schemes.includes(scheme)) {
    return `Invalid webhook URL scheme: '${scheme}'. Allowed schemes are: ${schemes.join(", ")}.`;
  }
  const host = hostOf(url);
  if (!allowPrivate && isPrivateHost(host)) return notPublic(host);
  return undefined;
}

class AddressRefused extends Error {}

function notPublic(host: string, address?: string): string {
  const where = address === undefined ? `'${host}'` : `'${host}' is ${address}, which`;
  return `Invalid webhook URL: ${where} is not a public address. Webhooks go to the public Internet only, unless KETLINE_WEBHOOK_ALLOW_PRIVATE=true.`;
}

/** The resolver of the connection: what it calls back with is what is connected to. */
function guardedLookup({ allowPrivate, resolve = systemResolve }: SendingOptions): LookupFunction {
  return (hostname, { all }, callback) => {
    const done = (addresses: readonly LookupAddress[]) => {
      const hidden = allowPrivate ? undefined : addresses.find(({ address }) => !isPublicAddress(address));
      const [first] = addresses;
      if (hidden !== undefined) callback(new AddressRefused(notPublic(hostname, hidden.address)), []);
      else if (first === undefined) callback(new Error(`The name ${hostname} has no address.`), []);
      else if (all === true) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    };
    resolve(hostname).then(done, (error: Error) => callback(error, []));
  };
}

const systemResolve: Resolve = (hostname) => lookup(hostname, { all: true });

function post(
  url: URL,
  { body, headers }: { readonly body: string; readonly headers: Readonly<Record<string, string>> },
  resolver: LookupFunction,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const bytes = Buffer.from(body, "utf8");
  const options: https.RequestOptions = {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers, "Content-Length": bytes.byteLength },
    lookup: resolver,
    signal,
    // A connection of its own: one that is kept could be another name's, judged under other rules.
    agent: false,
  };
  return new Promise((resolve, reject) => {
    const sent =
      url.protocol === "https:"
        ? https.request(url, { ...options, rejectUnauthorized: true })
        : http.request(url, options);
    sent.on("error", reject);
    sent.on("response", resolve);
    sent.end(bytes);
  });
}

/** The beginning of an answer; what breaks off or comes too late is left out: the status has been heard. */
async function readSome(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response) {
      const bytes = Buffer.from(chunk).subarray(0, maxAnswerBytes - size);
      chunks.push(bytes);
      size += bytes.byteLength;
      if (size >= maxAnswerBytes) break;
    }
  } catch {
    // The connection ended in the middle.
  }
  response.destroy();
  return new TextDecoder().decode(Buffer.concat(chunks)).replaceAll("\0", "");
}

function reasonOf(error: unknown): string {
  // When each of several addresses failed, the reasons stand inside.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

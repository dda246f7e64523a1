import type { IncomingMessage, ServerResponse } from "node:http";
import { unavailable } from "../shared/errors.ts";
import type { DirectRoutes, RequestHead } from "../shared/http/index.ts";
import { answerBeforeBody, owesBody } from "./unread.ts";

/** Longer bodies are read as they are consumed, by the application. */
const maxBodyBytes = 8 * 1024 ** 2;

/**
 * Answers a request of a direct route, if it is one that needs nothing of what the Fetch API's objects would do to it:
 * no repeated headers to join, no path to decode, a body of a known and moderate length, or none where none belongs.
 *
 * @returns undefined for any other request: the application answers it
 */
export function answerDirectly(
  routes: DirectRoutes,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> | undefined {
  const { method = "", url = "", headers } = incoming;
  const queryAt = url.indexOf("?");
  const route = routes.find(method, queryAt < 0 ? url : url.slice(0, queryAt));
  if (route === undefined) return undefined;
  const length = Number(headers["content-length"] ?? 0);
  const isPlain =
    // MLflow's calls read a GET without a query from its body.
    (headers["content-length"] === undefined ? method === "GET" : length > 0 && length <= maxBodyBytes) &&
    !url.includes("#") &&
    headers["transfer-encoding"] === undefined &&
    /^[a-z\d.-]+(:\d{1,5})?$/.test(headers.host ?? "") &&
    !hasRepeated(incoming);
  if (!isPlain) return undefined;
  return route
    .answer(new DirectRequest(incoming, outgoing, url, length))
    .then((answer): Promise<void> | void => {
      if (answer instanceof Response)
        throw new TypeError(`${url} is answered by what no direct route may give.`);
      const { status, headers, body: written } = answer;
      const body = written ?? "";
      if (owesBody(incoming)) return answerBeforeBody(incoming, outgoing, { status, headers, body });
      outgoing.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
      outgoing.end(body);
    });
}

/** Node.js joins some headers that come twice and drops others; the Fetch API joins them all. */
function hasRepeated({ headers, rawHeaders }: IncomingMessage): boolean {
  let count = 0;
  for (const _ in headers) count++;
  return 2 * count !== rawHeaders.length;
}

class DirectRequest implements RequestHead {
  readonly method: string;
  readonly body = null;
  readonly headers: RequestHead["headers"];
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  readonly #target: string;
  readonly #length: number;
  #gone: AbortController | undefined;

  constructor(incoming: IncomingMessage, outgoing: ServerResponse, target: string, length: number) {
    this.method = incoming.method ?? "";
    this.headers = headersOf(incoming);
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#target = target;
    this.#length = length;
  }

  get url(): string {
    return `http://${this.headers.get("host")}${this.#target}`;
  }

  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      const gone = new AbortController();
      const outgoing = this.#outgoing;
      if (outgoing.destroyed) gone.abort();
      outgoing.once("close", () => {
        if (!outgoing.writableFinished) gone.abort();
      });
      this.#gone = gone;
    }
    return this.#gone.signal;
  }

  get isGone(): boolean {
    return this.#outgoing.destroyed && !this.#outgoing.writableFinished;
  }

  /** Node.js has copied what it received: the body belongs to whoever reads it. */
  wholeBody(alignedAt = 0): Promise<Uint8Array> {
    const incoming = this.#incoming;
    const length = this.#length;
    const padding = Number.isSafeInteger(alignedAt) ? (8 - (alignedAt % 8)) % 8 : 0;
    return new Promise((resolve, reject) => {
      let whole: Buffer<ArrayBuffer> | undefined;
      let received = 0;
      incoming.on("data", (chunk: Buffer<ArrayBuffer>) => {
        const { byteLength } = chunk;
        if (byteLength === length) whole = chunk;
        else {
          whole ??= Buffer.allocUnsafeSlow(padding + length).subarray(padding);
          whole.set(chunk, received);
          giveBack(chunk);
        }
        received += byteLength;
      });
      incoming.on("end", () => resolve(whole ?? new Uint8Array(0)));
      incoming.on("close", () => {
        if (received < length) reject(unavailable("The request was given up."));
      });
    });
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return new Uint8Array(await this.wholeBody()).buffer;
  }
}

/** Frees a large piece now: V8 hears of such memory and collects all garbage the more often, the longer it waits. */
function giveBack({ buffer, byteLength }: Buffer<ArrayBuffer>): void {
  if (byteLength >= 4096 && byteLength === buffer.byteLength) buffer.transfer(0);
}

function headersOf({ headers }: IncomingMessage): RequestHead["headers"] {
  return {
    get: (name) => {
      const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
      return typeof value === "string" ? value : null;
    },
    has: (name) => Object.hasOwn(headers, name),
  };
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Logger } from "pino";
import type { Config } from "../shared/config.ts";
import type { DirectRoutes } from "../shared/http/index.ts";
import { answerDirectly } from "./direct.ts";
import { openFilesLimit } from "./open-files.ts";
import { createHostCheck, refuseAddress, refuseMalformed } from "./refusals.ts";
import { createTurns } from "./turns.ts";
import { answerBeforeBody, owesBody } from "./unread.ts";

export interface Listener {
  readonly url: string;
  stop(graceMs: number): Promise<void>;
}

/** What answers: the application, and the shorter way to some of its routes. */
export interface Answering {
  fetch(request: Request): Response | Promise<Response>;
  readonly direct?: DirectRoutes | undefined;
}

/** Time to send the head of a request; a connection that says less is not a client. */
const headersTimeoutMs = 20_000;
/** Longer than the 60 s of the usual proxies, so that it is never the server that closes under a request. */
const keepAliveTimeoutMs = 65_000;
/** A connection on which nothing moves, in the middle of an upload or a download. Whole bodies may take any time. */
const stalledTimeoutMs = 300_000;
const maxHeaderBytes = 32 * 1024;
/** Each costs about 20 kB. Fewer where the process may not have that many: its files need half of what it may open. */
const mostConnections = 10_000;

/**
 * Listens on `config.host` and `config.port` (0 takes any free one).
 *
 * @param maxConnections past which a new one is closed at once
 * @throws Error that says in one sentence why the address cannot be had.
 */
export async function listen(
  { fetch, direct }: Answering,
  config: Pick<Config, "host" | "port">,
  logger: Logger,
  maxConnections = Math.min(mostConnections, Math.floor(openFilesLimit() / 2)),
): Promise<Listener> {
  const handlers = createTally();
  const watched = <Result>(handler: Promise<Result>): Promise<Result> => {
    handlers.begin();
    handler.then(handlers.end, handlers.end);
    return handler;
  };
  const listener = getRequestListener(
    (request, bindings) => {
      const { incoming, outgoing } = bindings as HttpBindings;
      const answered = watched(Promise.resolve(fetch(request)));
      return mayHaveBody(incoming)
        ? answered.then((response) => afterBody(response, incoming, outgoing))
        : answered;
    },
    {
      hostname: config.host,
      errorHandler: (error) => {
        if (!(error instanceof Error) || error.name !== "RequestError") throw error;
        const { status, headers, body } = refuseAddress(
          "/",
          `The request's address is not one: ${error.message}.`,
        );
        return new Response(body, { status, headers });
      },
    },
  );
  const options = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: 0,
    noDelay: true,
  };
  const inTurn = createTurns();
  const isHost = createHostCheck();
  const server = createServer(options, (incoming, outgoing) => {
    inTurn(incoming, outgoing, () => {
      if (!isHost(incoming.headers.host)) {
        const reason = "The Host header is neither a name nor an address with, perhaps, a port.";
        void answerBeforeBody(incoming, outgoing, refuseAddress(incoming.url ?? "/", reason));
        return;
      }
      const answered = direct && answerDirectly(direct, incoming, outgoing);
      void (answered === undefined ? listener(incoming, outgoing) : watched(answered));
    });
  });
  server.setTimeout(stalledTimeoutMs);
  server.maxConnections = maxConnections;
  let saidMs = Number.NEGATIVE_INFINITY;
  server.on("drop", () => {
    const nowMs = performance.now();
    if (nowMs - saidMs < 60_000) return;
    saidMs = nowMs;
    logger.warn({ maxConnections }, "a connection was closed at once: as many as may be are open");
  });
  server.on("clientError", (error, socket) => {
    logger.debug({ err: error }, "not an HTTP request");
    refuseMalformed(error, socket, inTurn.isAnswering(socket));
  });
  await bind(server, config);
  return { url: addressOf(server, config.host), stop: (graceMs) => close(server, handlers, graceMs) };
}

function mayHaveBody({ method }: Pick<IncomingMessage, "method">): boolean {
  return method !== "GET" && method !== "HEAD";
}

/** An answer that is ready before the request's body has come is written here; any other by the adapter. */
async function afterBody(
  response: Response,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<Response> {
  const isEndless = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  if (!owesBody(incoming) || isEndless) return response;
  const { status } = response;
  const body = new Uint8Array(await response.arrayBuffer());
  await answerBeforeBody(incoming, outgoing, { status, headers: Object.fromEntries(response.headers), body });
  return RESPONSE_ALREADY_SENT;
}

function bind(server: Server, { host, port }: Pick<Config, "host" | "port">): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
    server.listen(port, host, resolve);
  });
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} on ${host} is taken by another program; stop that one, or choose another with PORT=7072.`,
    EACCES: `Port ${port} may not be opened by this user; choose one above 1023 with PORT=7071.`,
    EADDRNOTAVAIL: `This machine has no address ${host}; set KETLINE_HOST to one that it has, e.g. 127.0.0.1.`,
    ENOTFOUND: `The name ${host} is not known; set KETLINE_HOST to an address of this machine, e.g. 127.0.0.1.`,
  };
  return new Error(reasons[error.code ?? ""] ?? `Cannot listen on ${host}:${port}: ${error.message}`, {
    cause: error,
  });
}

function addressOf(server: Server, host: string): string {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Takes no more connections and waits for the requests in the air; past the limit they are cut off. A handler may
 * outlive its connection, to clean up after an upload that broke off, and is waited for too.
 */
async function close(server: Server, handlers: Tally, graceMs: number): Promise<void> {
  const cutMs = performance.now() + graceMs;
  await new Promise<void>((resolve) => {
    // A kept-alive connection counts as open until its client lets go, so those that fall idle are closed here.
    const sweep = setInterval(() => server.closeIdleConnections(), 20);
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
  });
  const limit = new AbortController();
  const settled = handlers.none().finally(() => limit.abort());
  const leftMs = Math.max(cleaningMs, cutMs - performance.now());
  await Promise.race([settled, sleep(leftMs, undefined, { signal: limit.signal }).catch(() => {})]);
}

/** What a handler has at least to clean up once its connection is gone. */
const cleaningMs = 1000;

/** How many are at work. A set of their promises would cost every request more than counting does. */
interface Tally {
  begin(): void;
  end(): void;
  /** Settles when all that were at work have ended. */
  none(): Promise<void>;
}

function createTally(): Tally {
  let count = 0;
  let whenNone: (() => void)[] = [];
  return {
    begin: () => {
      count++;
    },
    end: () => {
      if (--count > 0) return;
      for (const resolve of whenNone) resolve();
      whenNone = [];
    },
    none: () => (count === 0 ? Promise.resolve() : new Promise((resolve) => whenNone.push(resolve))),
  };
}

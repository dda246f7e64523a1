import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { unavailable } from "../shared/errors.ts";

/*
 * A request may be answered before its body has come whole: it is refused by its head, or has become too large. The
 * client sends on meanwhile. A connection that was closed under it would take the answer along (the reset overtakes what
 * the client has not read yet), and one that is kept needs the rest gone before the next request on it.
 */

/** So much of a declared body is worth the connection; a client that still sends more than this gets a new one. */
const keptBytes = 1024 ** 2;
/** What a client has to send the rest, or to read the answer and go. */
const lingerMs = 30_000;

/** Whether some of the request's body may not have come yet. */
export function owesBody(incoming: IncomingMessage): boolean {
  if (incoming.complete) return false;
  const { headers } = incoming;
  return Number(headers["content-length"] ?? 0) > 0 || headers["transfer-encoding"] !== undefined;
}

/** An answer of known length. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: string | Uint8Array;
}

/**
 * Answers, and takes the rest of the body off the wire before the exchange ends. The client has the whole answer at once,
 * by its length; where the rest is long or of unknown length, it is told that the connection closes.
 */
export async function answerBeforeBody(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, headers, body }: WholeAnswer,
): Promise<void> {
  const isShort = Number(incoming.headers["content-length"] ?? Number.POSITIVE_INFINITY) <= keptBytes;
  if (!isShort) outgoing.shouldKeepAlive = false;
  outgoing.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  if (Buffer.byteLength(body) > 0) outgoing.write(body);
  else outgoing.flushHeaders();
  const isOver = await discardRest(incoming);
  if (!isOver) outgoing.shouldKeepAlive = false;
  outgoing.end();
  if (!isOver) incoming.socket.destroySoon();
}

/** @returns false when it did not come to its end in time */
function discardRest(incoming: IncomingMessage): Promise<boolean> {
  // Whoever still reads must not take what it has for the whole.
  incoming.on("error", () => {});
  incoming.emit("error", unavailable("The request was answered before its body was read."));
  incoming.removeAllListeners("data");
  return new Promise((resolve) => {
    const limit = setTimeout(() => resolve(false), lingerMs);
    const settle = () => {
      clearTimeout(limit);
      resolve(incoming.complete);
    };
    incoming.once("end", settle);
    incoming.once("close", settle);
    incoming.resume();
    if (incoming.readableEnded || incoming.destroyed) settle();
  });
}

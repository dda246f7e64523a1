import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { invalid } from "../shared/errors.ts";
import { errorReply, protocolOfPath } from "../shared/http/index.ts";

/** What Node.js could not read as HTTP/1.1, and how that is said; anything else is a 400. */
const statusOfCode: ReadonlyMap<string, number> = new Map([
  ["HPE_HEADER_OVERFLOW", 431],
  ["HPE_CHUNK_EXTENSIONS_OVERFLOW", 413],
  ["ERR_HTTP_REQUEST_TIMEOUT", 408],
]);

/** Answers what is no HTTP request, and closes its connection. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex, isAnswering: boolean): void {
  // An answer that is on its way must not get another one into its middle.
  if (!socket.writable || isAnswering || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const status = statusOfCode.get(error.code ?? "") ?? 400;
  const reason = STATUS_CODES[status];
  const body = JSON.stringify({
    type: "about:blank",
    title: reason,
    status,
    detail: `This is not a request of HTTP/1.1: ${error.message}`,
  });
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nconnection: close\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  (socket as Socket).resume();
}

/** An answer to a request whose address nobody can make sense of, in the protocol of what can be read of its path. */
export function refuseAddress(target: string, reason: string) {
  const { status, headers, body, contentType } = errorReply(protocolOfPath(target), invalid(reason), "");
  return { status, headers: { ...headers, "content-type": contentType }, body: JSON.stringify(body) };
}

/**
 * Tells whether a Host header is a name or an address with, perhaps, a port (RFC 9110, section 7.2): `127.999.0.1`, a
 * user's name or a path in it would make every use of the request's address fail.
 */
export function createHostCheck(): (host: string | undefined) => boolean {
  // Nearly every request comes for the same one.
  let known: string | undefined;
  return (host) => {
    if (host === undefined || host === "" || host === known) return true;
    if (host.length > 300 || !/^[^\s/?#@\\]+$/.test(host) || !URL.canParse(`http://${host}/`)) return false;
    known = host;
    return true;
  };
}

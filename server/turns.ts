import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * So many may wait before the connection is read no more. What is not read is not heard to close either, until something
 * is written to it or nothing has moved for long; so only those are left unread that send far ahead.
 */
const maxWaiting = 32;

/** Who waits on one connection. */
interface Line {
  /** The answer of the request that came last. */
  last: ServerResponse;
  waiting: number;
}

export interface Turns {
  /** @param begin answers the request; called at once where nothing is before it */
  (incoming: IncomingMessage, outgoing: ServerResponse, begin: () => void): void;
  /** Whether an answer has begun to leave on a connection and has not left whole. */
  isAnswering(connection: object): boolean;
}

/**
 * Lets the requests of one connection be answered one after the other, and reads no more of a connection on which one
 * waits. A client may send its next requests before it has read an answer (HTTP pipelining), and Node.js begins them all
 * at once: 55,000 on one connection whose client reads nothing would each hold an answer in memory. Their answers must
 * leave in order anyway. What waits when the connection closes is never begun.
 */
export function createTurns(): Turns {
  const lines = new WeakMap<object, Line>();

  const inTurn = (incoming: IncomingMessage, outgoing: ServerResponse, begin: () => void): void => {
    const { socket } = incoming;
    const line = lines.get(socket);
    if (line === undefined) {
      lines.set(socket, { last: outgoing, waiting: 0 });
      begin();
      return;
    }
    const { last } = line;
    line.last = outgoing;
    // An answer has the socket from the moment on when nothing is before it.
    if (outgoing.socket !== null) {
      begin();
      return;
    }
    line.waiting++;
    if (line.waiting === maxWaiting) hold(socket, line);
    last.once("close", () => {
      line.waiting--;
      if (socket.destroyed) return;
      if (line.waiting === maxWaiting - 1) socket.resume();
      begin();
    });
  };
  const isAnswering = (connection: object): boolean => {
    const line = lines.get(connection);
    return line !== undefined && (line.waiting > 0 || (line.last.headersSent && !line.last.writableFinished));
  };
  return Object.assign(inTurn, { isAnswering });
}

/** Whoever else lets the socket go on (a body that is read, an answer that has left) does not while somebody waits. */
function hold(socket: Socket, line: Line): void {
  const keep = () => {
    if (line.waiting >= maxWaiting) socket.pause();
    else socket.off("resume", keep);
  };
  socket.on("resume", keep);
  socket.pause();
}

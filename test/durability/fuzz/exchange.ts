import http from "node:http";
import { connect } from "node:net";

/** One request, as it is written down when it fails. */
export interface FuzzRequest {
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** Sent as it is in place of all else, and not by HTTP's rules. */
  readonly raw?: string;
}

export interface FuzzAnswer {
  /** 0 when the connection ended without one. */
  readonly status: number;
  readonly durationMs: number;
  readonly text: string;
}

/** Answers that say a state, and no fault: not done here, not now, took too long, no room. */
const statesOfServers = new Set([501, 503, 504, 507]);
const slowMs = 5000;
const keptText = 4000;
/** Event streams have no end; who has heard this much has heard enough. */
const streamMs = 200;

export const isSlow = ({ durationMs }: FuzzAnswer) => durationMs > slowMs;

/** Why an answer is a fault of the server, whatever it took; undefined when it is none. */
export function faultOf(request: FuzzRequest, answer: FuzzAnswer): string | undefined {
  if (answer.status === 0 && request.raw === undefined) return `no answer: ${answer.text}`;
  if (answer.status >= 500 && !statesOfServers.has(answer.status)) return `answered ${answer.status}`;
  return undefined;
}

/** Sends over kept connections. */
export function createSender(url: string, connections: number) {
  const { hostname, port } = new URL(url);
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  return {
    send(request: FuzzRequest): Promise<FuzzAnswer> {
      return request.raw === undefined
        ? sendHttp({ hostname, port, agent }, request)
        : sendRaw({ hostname, port }, request.raw);
    },
    close: () => agent.destroy(),
  };
}

type Place = { readonly hostname: string; readonly port: string };

function sendHttp(place: Place & { readonly agent: http.Agent }, request: FuzzRequest): Promise<FuzzAnswer> {
  const begunMs = performance.now();
  return new Promise((resolve) => {
    const settle = (status: number, text: string) =>
      resolve({ status, text, durationMs: performance.now() - begunMs });
    const { method, target, headers, body } = request;
    let sent: http.ClientRequest;
    try {
      // Node.js frames the bodies of some methods alone by itself.
      const length = body === undefined ? {} : { "content-length": body.byteLength };
      sent = http.request({ ...place, method, path: target, headers: { ...headers, ...length } });
    } catch (error) {
      settle(400, `not sent: ${String(error)}`);
      return;
    }
    sent.on("error", (error) => settle(0, String(error)));
    sent.setTimeout(60_000, () => sent.destroy(new Error("no answer within 60 s")));
    sent.on("response", (response) => {
      const pieces: Buffer[] = [];
      let size = 0;
      const end = () => settle(response.statusCode ?? 0, Buffer.concat(pieces).toString("utf8"));
      response.on("data", (piece: Buffer) => {
        if (size < keptText) pieces.push(piece.subarray(0, keptText - size));
        size += piece.length;
      });
      response.on("error", end);
      response.on("close", end);
      if (response.headers["content-type"]?.startsWith("text/event-stream")) {
        setTimeout(() => response.destroy(), streamMs);
      }
    });
    sent.end(body);
  });
}

function sendRaw({ hostname, port }: Place, raw: string): Promise<FuzzAnswer> {
  const begunMs = performance.now();
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(port), hostname);
    const settle = () => {
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
      resolve({ status, text: text.slice(0, keptText), durationMs: performance.now() - begunMs });
    };
    // What is half a request waits for its rest: a silence ends it from here.
    socket.setTimeout(150, () => socket.destroy());
    socket.on("data", (piece) => {
      if (text.length < keptText) text += piece.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", settle);
    socket.end(Buffer.from(raw, "latin1"));
  });
}

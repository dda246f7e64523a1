import { readFileSync } from "node:fs";
import { connect } from "node:net";

// The client, in a process of its own: sockets that stay open, each with one request in the air, made of bytes that were
// put together before. It must cost less than any server that it measures.

export interface LoadRequest {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBase64: string;
  readonly connections: number;
  readonly durationMs: number;
  /** Whose processor time is counted. */
  readonly pids: readonly number[];
}

export interface Measurement {
  readonly perSecond: number;
  /** Of the server's processes, per request; null where the system does not tell. */
  readonly cpuMicroseconds: number | null;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

process.on("message", (request: LoadRequest) => {
  load(request).then(
    (measurement) => process.send?.({ measurement }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  );
});

async function load(request: LoadRequest): Promise<Measurement> {
  const body = Buffer.from(request.bodyBase64, "base64");
  const head = [
    `POST ${request.path} HTTP/1.1`,
    `host: 127.0.0.1:${request.port}`,
    ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${body.byteLength}`,
  ];
  const bytes = Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]);
  const durations: number[] = [];
  const cpuBefore = cpuMs(request.pids);
  const started = performance.now();
  const untilMs = started + request.durationMs;
  await Promise.all(
    Array.from({ length: request.connections }, () => converse(request.port, bytes, untilMs, durations)),
  );
  const elapsedMs = performance.now() - started;
  const cpuAfter = cpuMs(request.pids);
  durations.sort((a, b) => a - b);
  const at = (p: number) => durations[Math.min(durations.length - 1, Math.floor(p * durations.length))] ?? 0;
  return {
    perSecond: (1000 * durations.length) / elapsedMs,
    cpuMicroseconds:
      cpuBefore === null || cpuAfter === null ? null : (1000 * (cpuAfter - cpuBefore)) / durations.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

/** One connection: a request, its answer, the next request, until the time is up. */
function converse(port: number, request: Buffer, untilMs: number, durations: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let sentMs = 0;
    let pending: Buffer = Buffer.alloc(0);
    /** Bytes of this answer that are still to come; undefined before its head was read. */
    let left: number | undefined;
    const send = () => {
      sentMs = performance.now();
      socket.write(request);
    };
    const done = () => {
      left = undefined;
      pending = Buffer.alloc(0);
      const nowMs = performance.now();
      durations.push(nowMs - sentMs);
      if (nowMs < untilMs) send();
      else {
        socket.destroy();
        resolve();
      }
    };
    const read = (chunk: Buffer) => {
      if (left !== undefined) {
        if (Number.isNaN(left)) {
          if (chunk.subarray(-5).equals(lastChunk)) done();
          return;
        }
        left -= chunk.byteLength;
        if (left === 0) done();
        return;
      }
      pending = pending.byteLength === 0 ? chunk : Buffer.concat([pending, chunk]);
      const end = pending.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = pending.toString("latin1", 0, end);
      if (!head.startsWith("HTTP/1.1 200 ")) {
        socket.destroy();
        reject(new Error(`${head.slice(0, 100)} ${pending.subarray(end).toString().slice(0, 500)}`));
        return;
      }
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      const rest = pending.subarray(end + 4);
      left = length === undefined ? Number.NaN : Number(length);
      if (Number.isNaN(left) || rest.byteLength > 0) read(rest);
    };
    socket.on("connect", send);
    socket.on("data", read);
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("The server closed the connection.")));
  });
}

const lastChunk = Buffer.from("0\r\n\r\n");

/** Processor time of processes, from /proc, where a tick is 10 ms. */
function cpuMs(pids: readonly number[]): number | null {
  try {
    return pids.reduce((sum, pid) => {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return sum + 10 * (Number(fields[11]) + Number(fields[12]));
    }, 0);
  } catch {
    return null;
  }
}

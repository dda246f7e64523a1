import { readFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";

export interface Payload {
  readonly name: string;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Measurement {
  readonly perSecond: number;
  /** Of the server's process and its children, per request. */
  readonly cpuMicroseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Sends `count` requests over `connections` keep-alive connections. @throws on any answer but 200 */
export async function load(
  url: string,
  { body, headers }: Payload,
  options: { readonly connections: number; readonly count: number; readonly pids: readonly number[] },
): Promise<Measurement> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections });
  const target = new URL(url);
  const once = () =>
    new Promise<void>((resolve, reject) => {
      const sent = httpRequest(
        target,
        { agent, method: "POST", headers: { ...headers, "content-length": body.byteLength } },
        (response) => {
          let text = "";
          response.on("data", (chunk: Buffer) => {
            if (response.statusCode !== 200) text += chunk.toString();
          });
          response.on("end", () =>
            response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode} ${text}`)),
          );
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  const durations: number[] = [];
  let left = options.count;
  const client = async () => {
    while (left-- > 0) {
      const started = performance.now();
      await once();
      durations.push(performance.now() - started);
    }
  };
  const cpuBefore = cpuMs(options.pids);
  const started = performance.now();
  await Promise.all(Array.from({ length: options.connections }, client));
  const seconds = (performance.now() - started) / 1000;
  const cpu = cpuMs(options.pids) - cpuBefore;
  agent.destroy();
  durations.sort((a, b) => a - b);
  const at = (p: number) => durations[Math.min(durations.length - 1, Math.floor(p * durations.length))] ?? 0;
  return {
    perSecond: durations.length / seconds,
    cpuMicroseconds: (1000 * cpu) / durations.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

/** Processor time of processes, from /proc, where a tick is 10 ms. */
function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return sum + 10 * (Number(fields[11]) + Number(fields[12]));
  }, 0);
}

import { Agent, type IncomingMessage, request } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** One client with one kept connection, so that both servers are asked in the same way. */
export interface HttpClient {
  /** @returns the answer's JSON. @throws on any answer but 200 */
  call(method: "GET" | "POST", path: string, body?: object): Promise<unknown>;
  /** Sends so many bytes. */
  upload(path: string, sizeBytes: number): Promise<void>;
  /** @returns how many bytes came */
  download(path: string): Promise<number>;
  close(): void;
}

const limitMs = 600_000;
const block = Buffer.alloc(1024 ** 2, "ketline ");

export function createHttpClient(url: string): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { hostname, port } = new URL(url);

  const send = (
    method: string,
    path: string,
    headers: Record<string, string | number>,
    body: string | Readable,
  ) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request({ agent, hostname, port, method, path, headers, timeout: limitMs }, resolve);
      sent.on("error", reject);
      sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer`)));
      if (typeof body === "string") sent.end(body);
      else pipeline(body, sent).catch(reject);
    });
  const textOf = async (response: IncomingMessage, what: string): Promise<string> => {
    let text = "";
    response.setEncoding("utf8");
    for await (const chunk of response) text += chunk;
    if (response.statusCode !== 200) throw new Error(`${what}: ${response.statusCode} ${text.slice(0, 500)}`);
    return text;
  };
  return {
    async call(method, path, body) {
      const payload = body === undefined ? "" : JSON.stringify(body);
      const headers = body === undefined ? {} : jsonHeaders(payload);
      return JSON.parse(await textOf(await send(method, path, headers, payload), `${method} ${path}`));
    },
    async upload(path, sizeBytes) {
      const headers = { "content-type": "application/octet-stream", "content-length": sizeBytes };
      await textOf(await send("PUT", path, headers, Readable.from(blocks(sizeBytes))), `PUT ${path}`);
    },
    async download(path) {
      const response = await send("GET", path, {}, "");
      let bytes = 0;
      for await (const chunk of response) bytes += (chunk as Buffer).byteLength;
      if (response.statusCode !== 200) throw new Error(`GET ${path}: ${response.statusCode}`);
      return bytes;
    },
    close: () => agent.destroy(),
  };
}

function jsonHeaders(payload: string) {
  return { "content-type": "application/json", "content-length": Buffer.byteLength(payload) };
}

function* blocks(sizeBytes: number): Generator<Buffer> {
  for (let left = sizeBytes; left > 0; left -= block.byteLength)
    yield block.subarray(0, Math.min(left, block.byteLength));
}

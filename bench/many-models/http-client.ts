import { Agent, request } from "node:http";

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly header: (name: string) => string;
}

/** Requests over a few kept connections. */
export interface HttpClient {
  send(method: string, path: string, body?: Uint8Array | object): Promise<Reply>;
  close(): void;
}

const limitMs = 60_000;

export function createHttpClient(port: number, connections: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const client: HttpClient = {
    send: (method, path, body) =>
      new Promise((resolve, reject) => {
        const isBytes = body instanceof Uint8Array;
        const bytes = body === undefined || isBytes ? body : Buffer.from(JSON.stringify(body));
        const headers = {
          ...(bytes === undefined ? {} : { "content-length": bytes.byteLength }),
          ...(body === undefined || isBytes ? {} : { "content-type": "application/json" }),
        };
        const sent = request(
          { agent, port, host: "127.0.0.1", method, path, headers, timeout: limitMs },
          (response) => {
            let text = "";
            response.setEncoding("utf8");
            response.on("data", (chunk) => {
              text += chunk;
            });
            response.on("error", reject);
            response.on("end", () =>
              resolve({
                status: response.statusCode ?? 0,
                text,
                header: (name) => String(response.headers[name] ?? ""),
              }),
            );
          },
        );
        sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer in ${limitMs} ms`)));
        sent.on("error", (error: NodeJS.ErrnoException) => {
          // The server may close a kept connection just when it is used again; every client asks once more then.
          if (error.code === "ECONNRESET" && sent.reusedSocket) resolve(client.send(method, path, body));
          else reject(error);
        });
        sent.end(bytes);
      }),
    close: () => agent.destroy(),
  };
  return client;
}

/** Works through the items, `width` at a time. */
export async function each<Item>(
  items: Iterable<Item>,
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const next = items[Symbol.iterator]();
  const lane = async () => {
    for (let item = next.next(); item.done !== true; item = next.next()) await work(item.value);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

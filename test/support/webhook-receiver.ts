import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that a receiver of webhooks has got. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: { entity: string; action: string; timestamp: string; data: Record<string, unknown> };
}

export interface Answering {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A receiver of webhooks on loopback. It answers 200 until it is told otherwise. */
export interface Receiver {
  readonly url: string;
  readonly received: readonly Received[];
  /** Answers with this from now on; `silent` lets the sender wait. */
  answer(how: Answering | "silent"): void;
  /** `entity.action` of what has come, in its order. */
  events(): string[];
  /** Resolves when as many requests have come. */
  hasGot(count: number): Promise<void>;
  forget(): void;
  close(): Promise<void>;
}

export async function startReceiver(port = 0): Promise<Receiver> {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  let how: Answering | "silent" = { status: 200 };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    received.push({ path: request.url ?? "", headers: request.headers, text, body: JSON.parse(text) });
    for (const look of waiting) look();
    if (how !== "silent") response.writeHead(how.status, how.headers).end(how.body);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    answer(next) {
      how = next;
    },
    events: () => received.map(({ body }) => `${body.entity}.${body.action}`),
    hasGot: (count) =>
      new Promise((resolve) => {
        const look = () => {
          if (received.length < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    forget() {
      received.length = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What MLflow's documentation tells receivers to compute, written apart from the sender's own. */
export function expectedSignature(secret: string, { headers, text }: Received): string {
  const signed = [headers["x-mlflow-delivery-id"], headers["x-mlflow-timestamp"], text].join(".");
  return `v1,${createHmac("sha256", Buffer.from(secret)).update(Buffer.from(signed)).digest().toString("base64")}`;
}

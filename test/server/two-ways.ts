import { once } from "node:events";
import http, { type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { expect } from "vitest";
import { type Listener, listen } from "../../server/listener.ts";
import {
  type ApplicationOptions,
  createApplication,
  createDirectRoutes,
  type DirectRoutes,
} from "../../shared/http/index.ts";

/*
 * The shorter way must be nothing but shorter. Two listeners over one application, one with it and one without, get the
 * same requests and must give the same answers, byte by byte but for times and drawn ids.
 */

export interface TwoWays {
  readonly shorterUrl: string;
  /** How many requests went the shorter way. */
  readonly shortened: number;
  /** Sends a request to both and expects the same of them. */
  both(sent: Sent): Promise<{ status: number | undefined; isShort: boolean; body: string }>;
  short(sent: Sent): Promise<{ status: number | undefined; body: string }>;
  usual(sent: Sent): Promise<{ status: number | undefined; body: string }>;
  stop(): Promise<void>;
}

export async function openTwoWays(options: ApplicationOptions): Promise<TwoWays> {
  const application = createApplication(options);
  const routes = createDirectRoutes(options);
  let shortened = 0;
  const counted: DirectRoutes = {
    find(method, path) {
      const found = routes.find(method, path);
      return (
        found && {
          answer: (request) => {
            shortened++;
            return found.answer(request);
          },
        }
      );
    },
  };
  const address = { host: "127.0.0.1", port: 0 };
  const shorter = await listen({ fetch: application.fetch, direct: counted }, address, options.logger);
  const usual = await listen({ fetch: application.fetch }, address, options.logger);
  return {
    shorterUrl: shorter.url,
    get shortened() {
      return shortened;
    },
    async both(sent) {
      const before = shortened;
      const [a, b] = [await send(shorter, sent), await send(usual, sent)];
      expect(lasting(a)).toEqual(lasting(b));
      return { status: a.status, isShort: shortened > before, body: a.body };
    },
    short: (sent) => send(shorter, sent),
    usual: (sent) => send(usual, sent),
    stop: async () => void (await Promise.all([shorter.stop(1000), usual.stop(1000)])),
  };
}

export interface Sent {
  readonly path: string;
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders | readonly string[];
  readonly body?: string | Uint8Array;
  /** Without saying its length. */
  readonly chunked?: boolean;
  /** With nothing that tells of a body. */
  readonly bodiless?: boolean;
}

async function send(listener: Listener, sent: Sent) {
  const { path, method = "POST", headers = {}, body = "", chunked, bodiless } = sent;
  const bytes = typeof body === "string" ? Buffer.from(body) : Buffer.from(body);
  const length = bodiless === true ? {} : { "content-length": String(bytes.byteLength) };
  const all = Array.isArray(headers)
    ? [...(headers as readonly string[]), ...Object.entries(length).flat()]
    : { ...headers, ...(chunked === true ? { "transfer-encoding": "chunked" } : length) };
  const { hostname, port } = new URL(listener.url);
  const request = http.request({ hostname, port, path, method, headers: all as OutgoingHttpHeaders });
  request.end(bytes);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return {
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(chunks).toString("latin1"),
  };
}

const drawn = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** Without what differs from one request to the next. */
function lasting({ status, headers, body }: Awaited<ReturnType<typeof send>>) {
  const { date: _, ...others } = headers;
  const timing = others["server-timing"];
  return {
    status,
    body: body.replace(drawn, "drawn"),
    headers: {
      ...others,
      "x-request-id": String(others["x-request-id"]).replace(drawn, "drawn"),
      ...(timing === undefined ? {} : { "server-timing": String(timing).replace(/[\d.]+/g, "0") }),
    },
  };
}

import type { FuzzRequest } from "./exchange.ts";
import { pick, type Random } from "./odd-values.ts";

/** Requests that are none, from what a good one says. */
export function malformed(random: Random, { method, target, headers, body }: FuzzRequest): string {
  const content = body === undefined ? "" : Buffer.from(body).toString("latin1").slice(0, 20_000);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const head = (more: readonly string[], start = `${method} ${target} HTTP/1.1`, host = "Host: localhost") =>
    `${[start, host, ...lines, ...more].join("\r\n")}\r\n\r\n`;
  return pick(random, [
    () => head([`Content-Length: ${content.length + 10}`]) + content,
    () => head([`Content-Length: ${Math.floor(content.length / 2)}`]) + content,
    () => head(["Content-Length: -1"]) + content,
    () => head(["Transfer-Encoding: chunked"]) + content,
    () => `${head(["Transfer-Encoding: chunked"])}${content.length.toString(16)}\r\n${content}\r\n0\r\n\r\n`,
    () => head(["Transfer-Encoding: chunked", "Content-Length: 5"]) + content,
    () => head(["Transfer-Encoding: gzip"]) + content,
    () => head([`X: ${"x".repeat(40_000)}`]),
    () => head(Array.from({ length: 3000 }, (_, index) => `X${index}: 1`)),
    () => head([], `${method} * HTTP/1.1`),
    () => head([], `${method} http://[/ HTTP/1.1`),
    () => head([], `${method} http://localhost${target} HTTP/1.1`),
    () => head([], `${method} ${target} HTTP/9.9`),
    () => head([], `${method.toLowerCase()} ${target} HTTP/1.1`),
    () => head([], `CONNECT localhost:1 HTTP/1.1`),
    () => head([], `OPTIONS ${target} HTTP/1.1`),
    () => head([], `TRACE ${target} HTTP/1.1`),
    () => head(["Upgrade: websocket", "Connection: Upgrade"]),
    () =>
      head(
        [],
        undefined,
        `Host: ${pick(random, ["", "a b", "[", "127.999.0.1", "x".repeat(9000), "u:p@h"])}`,
      ),
    () => head([]).repeat(30),
    () => head(["Expect: 100-continue", `Content-Length: ${content.length}`]) + content,
    () => head(["X: \u0000"]),
    () => head(["X : y", " folded"]),
    () => `${method} ${target}`,
    () => content,
    () => head([]).slice(0, Math.floor(random() * 60)),
  ])();
}

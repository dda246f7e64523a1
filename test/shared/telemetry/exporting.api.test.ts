import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const child = fileURLToPath(new URL("./exporting.child.ts", import.meta.url));

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

/** Runs the process against a collector on loopback that speaks OTLP, and returns what reached it. */
async function collect(env: Record<string, string>) {
  const received: { path: string; body: Record<string, unknown> }[] = [];
  const collector = createServer(async (request, response) => {
    received.push({ path: request.url ?? "", body: JSON.parse(await text(request)) });
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  collector.listen(0, "127.0.0.1");
  await once(collector, "listening");
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  try {
    const worker = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", child], {
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        PATH: process.env.PATH,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        ...Object.fromEntries(
          Object.entries(env).map(([name, value]) => [name, value.replace("<collector>", endpoint)]),
        ),
      },
    });
    const [output, [code]] = await Promise.all([text(worker.stdout), once(worker, "exit")]);
    expect(code).toBe(0);
    return { received, logged: JSON.parse(output) as Record<string, unknown> };
  } finally {
    collector.closeAllConnections();
    collector.close();
  }
}

/** Every object under this name, wherever it stands: the payload nests by resource and scope. */
function all<T>(value: unknown, name: string): T[] {
  if (Array.isArray(value)) return value.flatMap((item) => all<T>(item, name));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    key === name ? (member as T[]) : all<T>(member, name),
  );
}

describe("telemetry", () => {
  it("goes where OTEL_EXPORTER_OTLP_ENDPOINT says: a request, its job in the same trace, and metrics", async () => {
    const { received, logged } = await collect({ OTEL_EXPORTER_OTLP_ENDPOINT: "<collector>" });
    const sent = (path: string) =>
      received.filter((request) => request.path === path).map(({ body }) => body);
    const spans = all<Span>(sent("/v1/traces"), "spans");
    const request = spans.find((span) => span.name === "POST /api/v1/fits/:name");
    const job = spans.find((span) => span.name === "job test.fit");
    expect(request).toMatchObject({
      traceId: "0af7651916cd43dd8448eb211c80319c",
      parentSpanId: "b7ad6b7169203331",
      kind: 2,
    });
    expect(request?.attributes).toContainEqual({
      key: "http.response.status_code",
      value: { intValue: 202 },
    });
    expect(job).toMatchObject({ traceId: request?.traceId, parentSpanId: request?.spanId, kind: 5 });
    expect(logged).toMatchObject({ traceId: request?.traceId, spanId: request?.spanId });
    const metrics = all<{ name: string }>(sent("/v1/metrics"), "metrics").map((metric) => metric.name);
    expect(metrics).toEqual(
      expect.arrayContaining(["http.server.request.duration", "ketline.jobs", "ketline.job.duration"]),
    );
    expect(JSON.stringify(sent("/v1/traces"))).toContain('"stringValue":"ketline"');
  });

  it("can be metrics alone, and then carries no trace through the work", async () => {
    const { received, logged } = await collect({
      OTEL_EXPORTER_OTLP_ENDPOINT: "<collector>",
      OTEL_TRACES_EXPORTER: "none",
    });
    expect([...new Set(received.map(({ path }) => path))].filter((path) => path !== "/v1/logs")).toEqual([
      "/v1/metrics",
    ]);
    const metrics = all<{ name: string }>(received, "metrics").map((metric) => metric.name);
    expect(metrics).toEqual(expect.arrayContaining(["http.server.request.duration", "ketline.jobs"]));
    expect(logged).not.toHaveProperty("traceId");
  });

  it("goes nowhere unless a variable says so, and costs no trace ids", async () => {
    const { received, logged } = await collect({});
    expect(received).toEqual([]);
    expect(logged).not.toHaveProperty("traceId");
  });

  it("is switched off by OTEL_SDK_DISABLED", async () => {
    const { received } = await collect({
      OTEL_EXPORTER_OTLP_ENDPOINT: "<collector>",
      OTEL_SDK_DISABLED: "true",
    });
    expect(received).toEqual([]);
  });
});

import { type ContextManager, metrics, ROOT_CONTEXT } from "@opentelemetry/api";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { createEvents, type Events, seconds } from "./events.ts";

export interface Telemetry {
  readonly events: Events;
  /** Counts one answered request; the `observe` of the application. */
  observeRequest(request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly durationMs: number;
  }): void;
  /** Sends what has not been sent. */
  close(): Promise<void>;
}

/**
 * Traces and metrics through OpenTelemetry. Its SDK takes about 50 MB and half a second to load, so it is loaded only where the
 * standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_EXPORTER`, …) name somewhere to send to; without it
 * spans and instruments are the API's empty ones. Call this before anything asks for a meter: meters do not pass on to
 * an SDK that comes later.
 */
export async function startTelemetry(options: {
  readonly config: Pick<Config, "telemetry">;
  readonly logger: Logger;
}): Promise<Telemetry> {
  const { config, logger } = options;
  const close = config.telemetry.exporting ? await startSdk(config.telemetry, logger) : undefined;
  // https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserverrequestduration
  const requests = seconds(
    metrics.getMeter("ketline"),
    "http.server.request.duration",
    "Duration of HTTP server requests",
  );
  return {
    events: createEvents(logger),
    observeRequest({ method, route, status, durationMs }) {
      requests.record(durationMs / 1000, {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
      });
    },
    close: async () => {
      await close?.();
    },
  };
}

const noContext: ContextManager = {
  active: () => ROOT_CONTEXT,
  with: (_context, work, self, ...args) => work.apply(self, args),
  bind: (_context, target) => target,
  enable: () => noContext,
  disable: () => noContext,
};

async function startSdk(
  { serviceName, tracing }: Config["telemetry"],
  logger: Logger,
): Promise<() => Promise<void>> {
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  // Without traces nothing reads the current context, and carrying it through every promise costs a prediction half of
  // its processor time again.
  const context = tracing ? {} : { contextManager: noContext, textMapPropagator: null };
  const sdk = new NodeSDK({ serviceName, ...context });
  sdk.start();
  return async () => {
    try {
      await sdk.shutdown();
    } catch (error) {
      logger.warn({ err: error }, "the last traces and metrics could not be sent");
    }
  };
}

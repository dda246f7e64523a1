import { trace } from "@opentelemetry/api";
import pino, { type DestinationStream, type Logger } from "pino";
import type { Config } from "../config.ts";
import { redactText, redactValue } from "./redaction.ts";

export type { Logger } from "pino";

/**
 * Structured logs: one JSON object a line, with the trace they belong to and without secrets.
 *
 * @param destination standard output by default
 */
export function createLogger(
  config: Pick<Config, "logLevel" | "codeVersion">,
  destination: DestinationStream = pino.destination({ dest: 1, sync: true }),
): Logger {
  return pino(
    {
      level: config.logLevel,
      base: { service: "ketline", version: config.codeVersion },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (members) => redactValue(members) as Record<string, unknown>,
      },
      // Errors are plain data by now: the formatter above comes first.
      serializers: { err: (error: unknown) => error },
      mixin: currentTrace,
    },
    // The message and the bindings of child loggers come together only in the finished line.
    { write: (line) => destination.write(redactText(line)) },
  );
}

function currentTrace(): Record<string, string> {
  const span = trace.getActiveSpan();
  if (span === undefined) return {};
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
}

import { trace } from "@opentelemetry/api";
import pino, { type DestinationStream, type Logger } from "pino";
import type { Config } from "../config.ts";
import { redactText, redactValue } from "./redaction.ts";
import { createRepeatedFaults } from "./repeated-faults.ts";

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
  const faults = createRepeatedFaults();
  return pino(
    {
      hooks: {
        logMethod(args, method) {
          const [members, message] = args as readonly unknown[];
          const error =
            typeof members === "object" && members !== null && "err" in members ? members.err : members;
          const { isTold, leftOut } = faults.admit(String(message), error);
          if (!isTold) return;
          method.apply(this, leftOut === 0 ? args : [{ ...(members as object), leftOut }, String(message)]);
        },
      },
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

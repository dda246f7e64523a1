export { createEvents, type Events } from "./events.ts";
export { createLogger, type Logger } from "./logger.ts";
export { redactText, redactValue } from "./redaction.ts";
export { startTelemetry } from "./telemetry.ts";
export { failSpan, inSpan, traceCarrier } from "./tracing.ts";

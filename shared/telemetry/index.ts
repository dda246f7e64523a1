export { createEvents, type Events } from "./events.ts";
export { createLogger, type Logger } from "./logger.ts";
export { redactValue } from "./redaction.ts";
export { startTelemetry, type Telemetry } from "./telemetry.ts";
export { failSpan, inSpan, traceCarrier } from "./tracing.ts";

export { createLogger, type Logger } from "./logger.ts";
export { redactText, redactValue } from "./redaction.ts";

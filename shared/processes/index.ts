export { type LimitedProcess, sacrificeFirst, startLimited } from "./limited-process.ts";
export { createStartGate, type StartGate } from "./start-gate.ts";

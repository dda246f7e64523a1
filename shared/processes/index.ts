export { type LimitedProcess, startLimited } from "./limited-process.ts";

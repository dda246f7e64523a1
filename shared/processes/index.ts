export { type LimitedProcess, sacrificeFirst, startLimited } from "./limited-process.ts";

export {
  type LimitedProcess,
  type ProcessLimits,
  preloads,
  sacrificeFirst,
  startLimited,
} from "./limited-process.ts";

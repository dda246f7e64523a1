export { inScratchDirectory, openScratchDirectory, sweepScratchDirectories } from "./scratch.ts";

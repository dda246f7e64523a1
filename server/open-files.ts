import { readFileSync } from "node:fs";

/** What a system without `/proc` allows a process at the least, macOS for one. */
const usualOpenFiles = 2560;

/** How many files and connections this process may have open (`ulimit -n`). */
export function openFilesLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft ?? usualOpenFiles);
  } catch {
    return usualOpenFiles;
  }
}

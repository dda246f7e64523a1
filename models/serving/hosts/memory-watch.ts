import { readFileSync } from "node:fs";
import { insufficient, type KetlineError } from "../../../shared/errors.ts";

/** Looks how much memory the processes of models take together, and ends the largest when it is too much. */
export interface MemoryWatch {
  add(process: WatchedProcess): void;
  remove(process: WatchedProcess): void;
  close(): void;
}

export interface WatchedProcess {
  readonly pid: number;
  /** Whether it works on something: only then does it grow. */
  readonly isBusy: boolean;
  end(error: KetlineError): void;
}

const intervalMs = 100;
const pageBytes = 4096;
/** What a process has of its own before it is asked for anything, with some room. */
const processBytes = 32 * 1024 ** 2;
const smallestBytes = 256 * 1024 ** 2;

/**
 * The system's limit holds for each process (`host-start.ts`), this one for all together. Where there is no /proc nothing
 * is seen, and only the limits of what is loaded hold.
 */
export function createMemoryWatch(memoryBytes: number): MemoryWatch {
  const watched = new Set<WatchedProcess>();
  const look = () => {
    if (![...watched].some(({ isBusy }) => isBusy)) return;
    let sum = 0;
    let largest: { readonly process: WatchedProcess; readonly bytes: number } | undefined;
    for (const process of watched) {
      const bytes = ownBytes(process.pid);
      sum += bytes;
      if (largest === undefined || bytes > largest.bytes) largest = { process, bytes };
    }
    if (largest === undefined || sum <= Math.max(memoryBytes, smallestBytes) + watched.size * processBytes)
      return;
    largest.process.end(
      insufficient(
        `The model took ${mebibytes(largest.bytes)} MiB of memory and was stopped; ` +
          `all models together may take ${mebibytes(memoryBytes)} MiB (KETLINE_MODEL_MEMORY_MIB).`,
      ),
    );
  };
  const timer = setInterval(look, intervalMs);
  timer.unref();
  return {
    add: (process) => void watched.add(process),
    remove: (process) => void watched.delete(process),
    close: () => clearInterval(timer),
  };
}

/** Memory that a process shares with no file: proc_pid_statm(5), resident less shared. 0 when it cannot be seen. */
export function ownBytes(pid: number | "self"): number {
  try {
    const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ").map(Number);
    return ((resident ?? 0) - (shared ?? 0)) * pageBytes;
  } catch {
    return 0;
  }
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 1024 ** 2);
}

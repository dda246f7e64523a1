import type { ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { setPriority } from "node:os";
import { startLimited } from "../../../shared/processes/index.ts";

export interface HostStart {
  /** The working directory of the process. */
  readonly directory: string;
  /** Of data: heaps and whatever is allocated, not the pages of programs. */
  readonly memoryBytes: number;
  /** Whether others go first when the processors are busy. */
  readonly isPatient: boolean;
}

export interface StartedHost {
  readonly process: ChildProcess;
  /** The end of what it wrote to its standard error. */
  said(): string;
}

/** What a host is sent lies outside of the heap: it needs little of it. */
const heapMiB = 512;
const youngMiB = 1;
/** A process of Node.js with ONNX Runtime has 52 MiB of data before it is asked for anything. */
const smallestMemoryBytes = 256 * 1024 ** 2;
const patientPriority = 5;

/**
 * Starts a process for models: what runs there is somebody else's. Its memory has a limit of the system's own on Linux;
 * elsewhere only its own reports tell, see `memory-watch.ts`.
 */
export function startHost({ directory, memoryBytes, isPatient }: HostStart): StartedHost {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const memoryMiB = Math.ceil(Math.max(memoryBytes, smallestMemoryBytes) / 1024 ** 2);
  const limits = { memoryMiB, heapMiB, youngMiB, cwd: directory };
  const { child, said } = startLimited(new URL("./host.process.ts", import.meta.url), limits);
  if (isPatient && child.pid !== undefined) lowerPriority(child.pid);
  return { process: child, said };
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, patientPriority);
  } catch {
    // It goes on as important as the server.
  }
}

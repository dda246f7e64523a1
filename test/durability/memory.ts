import { readFile } from "node:fs/promises";

/** Watches the resident memory of another process. Linux only. */
export interface MemoryWatch {
  /** The most since the last call, in bytes. */
  takePeak(): number;
  /** Now, in bytes. */
  now(): Promise<number>;
  stop(): void;
}

const everyMs = 50;

export async function watchMemory(pid: number): Promise<MemoryWatch> {
  const now = async () => {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024;
  };
  let peak = await now();
  const timer = setInterval(() => {
    now().then(
      (bytes) => {
        peak = Math.max(peak, bytes);
      },
      () => {}, // it has ended
    );
  }, everyMs);
  return {
    now,
    takePeak() {
      const taken = peak;
      peak = 0;
      return taken;
    },
    stop: () => clearInterval(timer),
  };
}

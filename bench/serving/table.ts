import type { Measurement } from "./client.process.ts";

export interface Result {
  readonly name: string;
  /** Requests per second against those of the first server in the same round: the median of the rounds. */
  readonly ratio: number;
  readonly p99Ratio: number;
  readonly perSecond: number;
  /** The least of the rounds, which other work on the machine disturbs least. */
  readonly cpuMicroseconds: number | null;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** One result for each server; the first one is what the others are held against. */
export function summary(measured: ReadonlyMap<string, readonly Measurement[]>): Result[] {
  const [reference = []] = measured.values();
  return [...measured].map(([name, rounds]) => ({
    name,
    ratio: median(
      rounds.map(({ perSecond }, round) => perSecond / (reference[round]?.perSecond ?? Number.NaN)),
    ),
    p99Ratio: median(rounds.map(({ p99Ms }, round) => p99Ms / (reference[round]?.p99Ms ?? Number.NaN))),
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    cpuMicroseconds: rounds.reduce<number | null>(
      (least, { cpuMicroseconds: cpu }) => (cpu === null ? least : Math.min(least ?? cpu, cpu)),
      null,
    ),
    p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
  }));
}

/** `median (least to most)`, in milliseconds. */
export function spread(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(0)} ms (${least.toFixed(0)} to ${most.toFixed(0)}, ${values.length} times)`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

export const line = {
  head: `${"model, payload, connections".padEnd(36)} ${"server".padEnd(20)}  ratio  p99 ratio    req/s  CPU us  p50 ms  p99 ms`,
  of: (label: string, { name, ratio, p99Ratio, perSecond, cpuMicroseconds, p50Ms, p99Ms }: Result) =>
    [
      label.padEnd(36),
      name.padEnd(20),
      ratio.toFixed(2).padStart(6),
      p99Ratio.toFixed(2).padStart(10),
      perSecond.toFixed(0).padStart(8),
      (cpuMicroseconds?.toFixed(0) ?? "–").padStart(7),
      p50Ms.toFixed(2).padStart(7),
      p99Ms.toFixed(2).padStart(7),
    ].join(" "),
};

/** How long a model takes for requests of a size, from what was measured. */
export interface Pace {
  measure(elements: number, runMs: number): void;
  /** Whether a request of this size will be answered within the limit, as far as anybody can know. */
  isQuick(elements: number): boolean;
}

/** Sizes count as one when they are within this factor. */
const sizeFactor = 4;
/** What one measurement weighs against those before: the machine's own pauses are forgotten after a few. */
const weight = 0.25;

/**
 * Keeps a running mean for each size of requests, by factors of four. A size that was never measured is expected to take
 * the square of the step from the next smaller one, as where every row meets every other; without that, nobody knows.
 */
export function createPace(maxRunMs: number): Pace {
  const means = new Map<number, number>();
  return {
    measure(elements, runMs) {
      const size = sizeOf(elements);
      const mean = means.get(size);
      means.set(size, mean === undefined ? runMs : mean + weight * (runMs - mean));
    },
    isQuick(elements) {
      const size = sizeOf(elements);
      const mean = means.get(size);
      const smaller = means.get(size - 1);
      const expected = mean ?? (smaller === undefined ? Number.POSITIVE_INFINITY : smaller * sizeFactor ** 2);
      return expected <= maxRunMs;
    },
  };
}

function sizeOf(elements: number): number {
  return Math.ceil(Math.log(Math.max(1, elements)) / Math.log(sizeFactor) - 1e-9);
}

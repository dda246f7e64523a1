/** How long a model takes for requests of a size, from what was measured. */
export interface LatencyModel {
  measure(elements: number, runMs: number): void;
  /** Whether a request of this size will be answered within the limit, as far as anybody can know. */
  isQuick(elements: number): boolean;
}

/** Sizes count as one when they are within this factor. */
const sizeFactor = 4;
/** What one measurement weighs against those before. */
const weight = 0.25;
/** The machine pauses now and then, for longer than a small model runs: one measurement counts as so much at most. */
const surpriseFactor = 4;
/** What was found slow is doubted a little with each run of the next smaller size, or nobody would ever try it again. */
const doubt = 0.99;

/**
 * Keeps a running mean for each size of requests, by factors of four. A size that was never measured is expected to take
 * the square of the step from the next smaller one, as where every row meets every other; without that, nobody knows.
 */
export function createLatencyModel(maxRunMs: number): LatencyModel {
  const means = new Map<number, number>();
  const expected = (size: number): number | undefined => {
    const mean = means.get(size);
    if (mean !== undefined) return mean;
    const smaller = means.get(size - 1);
    return smaller === undefined ? undefined : smaller * sizeFactor ** 2;
  };
  return {
    measure(elements, runMs) {
      const size = sizeOf(elements);
      const mean = means.get(size);
      const believed = Math.min(runMs, surpriseFactor * (expected(size) ?? runMs));
      means.set(size, mean === undefined ? believed : mean + weight * (believed - mean));
      const larger = means.get(size + 1);
      if (larger !== undefined && larger > maxRunMs) means.set(size + 1, larger * doubt);
    },
    isQuick(elements) {
      const expectedMs = expected(sizeOf(elements));
      return expectedMs !== undefined && expectedMs <= maxRunMs;
    },
  };
}

function sizeOf(elements: number): number {
  return Math.ceil(Math.log(Math.max(1, elements)) / Math.log(sizeFactor) - 1e-9);
}

/**
 * A uniform sample that merges: every value has a priority, a hash of its row's key, and the values with the smallest
 * priorities stay ("bottom-k", E. Cohen and H. Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). Whatever
 * the order in which parts are added and merged, the same rows remain, so results repeat exactly.
 */
export interface PrioritySample {
  /** In ascending order of priority, then value, once `settle` has run. */
  values: number[];
  /** 0 to 2^32 - 1, beside the values. */
  priorities: number[];
}

export function emptySample(): PrioritySample {
  return { values: [], priorities: [] };
}

/** Adds one value. The sample grows to at most twice its size before it is cut back. */
export function offer(sample: PrioritySample, size: number, value: number, priority: number): void {
  sample.values.push(value);
  sample.priorities.push(priority);
  if (sample.values.length >= 2 * size + 16) settle(sample, size);
}

/** Cuts the sample back to the `size` smallest priorities, in order. */
export function settle(sample: PrioritySample, size: number): void {
  const { values, priorities } = sample;
  const order = Array.from(values.keys()).sort(
    (a, b) => at(priorities, a) - at(priorities, b) || at(values, a) - at(values, b),
  );
  const kept = order.slice(0, size);
  sample.values = kept.map((index) => at(values, index));
  sample.priorities = kept.map((index) => at(priorities, index));
}

function at(list: readonly number[], index: number): number {
  return list[index] ?? 0;
}

/**
 * The bin of a value between ascending edges: bin i is [edges[i], edges[i+1]), the last one is closed on both sides,
 * as in numpy.
 *
 * @returns -1 below the first edge, `edges.length - 1` above the last
 */
export function binOf(edges: ArrayLike<number>, value: number): number {
  const last = edges.length - 1;
  const top = edges[last] ?? Number.NEGATIVE_INFINITY;
  if (value > top) return last;
  if (value === top) return Math.max(0, last - 1);
  let low = 0;
  let high = last;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((edges[middle] ?? Number.POSITIVE_INFINITY) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Counts of values per bin; values outside the edges, NaN included, are left out. */
export function histogram(values: ArrayLike<number>, edges: ArrayLike<number>): number[] {
  const counts = new Array<number>(Math.max(0, edges.length - 1)).fill(0);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    const bin = binOf(edges, value);
    const count = counts[bin];
    if (count !== undefined) counts[bin] = count + 1;
  }
  return counts;
}

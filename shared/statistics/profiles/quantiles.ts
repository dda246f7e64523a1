/**
 * Quantiles of values in ascending order by linear interpolation between the two nearest ones (definition 7 of
 * R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", 1996; numpy's default).
 *
 * @param sorted finite values, ascending
 * @param probabilities each from 0 to 1
 * @returns one value per probability; NaN for each when there are no values
 */
export function quantiles(sorted: ArrayLike<number>, probabilities: readonly number[]): number[] {
  const last = sorted.length - 1;
  return probabilities.map((probability) => {
    if (last < 0 || !(probability >= 0 && probability <= 1)) return Number.NaN;
    const position = probability * last;
    const below = Math.floor(position);
    const low = sorted[below] ?? Number.NaN;
    const high = sorted[Math.min(below + 1, last)] ?? low;
    return interpolate(low, high, position - below);
  });
}

/** The finite values in ascending order, as a copy. */
export function sortedFinite(values: ArrayLike<number | null>): Float64Array {
  const finite = new Float64Array(values.length);
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === "number" && Number.isFinite(value)) finite[count++] = value;
  }
  return finite.subarray(0, count).sort();
}

/** From the nearer end, as numpy does, so that both ends come out exactly and huge values do not overflow. */
function interpolate(low: number, high: number, share: number): number {
  const span = high - low;
  if (!Number.isFinite(span)) return low * (1 - share) + high * share;
  return share < 0.5 ? low + span * share : high - span * (1 - share);
}

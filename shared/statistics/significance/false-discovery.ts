/**
 * P-values adjusted so that taking those up to q as discoveries keeps the expected share of false ones at q or less
 * (Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", 1995), in the order of the input. NaN stays NaN
 * and does not count as a test.
 */
export function benjaminiHochberg(pValues: readonly number[]): number[] {
  const order = [...pValues.keys()]
    .filter((index) => !Number.isNaN(pValues[index]))
    .sort((i, j) => (pValues[j] ?? 0) - (pValues[i] ?? 0));
  const adjusted = pValues.map(() => Number.NaN);
  let least = 1;
  order.forEach((index, position) => {
    least = Math.min(least, ((pValues[index] ?? 1) * order.length) / (order.length - position));
    adjusted[index] = least;
  });
  return adjusted;
}

/** A sample in ascending order, with a weight per value where they do not all count alike. */
export interface Weighted {
  readonly sorted: ArrayLike<number>;
  readonly weights?: ArrayLike<number>;
}

/**
 * The Wasserstein-1 (earth mover's) distance of two samples: the area between their distribution functions, in the unit
 * of the values. NaN when a side has no weight.
 */
export function wasserstein(a: Weighted, b: Weighted): number {
  return areaBetween(a, b, Math.abs);
}

/**
 * The energy distance of two samples: the root of twice the integrated squared difference of their distribution
 * functions (G. J. Székely, M. L. Rizzo, "Energy statistics", 2013). NaN when a side has no weight.
 */
export function energyDistance(a: Weighted, b: Weighted): number {
  return Math.sqrt(2 * areaBetween(a, b, (difference) => difference * difference));
}

/** Sorts a sample together with its weights. */
export function weightedSample(values: ArrayLike<number>, weights?: ArrayLike<number>): Weighted {
  if (weights === undefined) return { sorted: Float64Array.from(values).sort() };
  const order = Array.from({ length: values.length }, (_, i) => i).sort(
    (i, j) => (values[i] ?? 0) - (values[j] ?? 0),
  );
  return { sorted: order.map((i) => values[i] ?? 0), weights: order.map((i) => weights[i] ?? 0) };
}

function areaBetween(a: Weighted, b: Weighted, measure: (difference: number) => number): number {
  const weightOfA = weightOf(a);
  const weightOfB = weightOf(b);
  const totalA = total(a, weightOfA);
  const totalB = total(b, weightOfB);
  if (!(totalA > 0 && totalB > 0)) return Number.NaN;
  let i = 0;
  let j = 0;
  let sumA = 0;
  let sumB = 0;
  let area = 0;
  let previous = Math.min(a.sorted[0] ?? 0, b.sorted[0] ?? 0);
  while (i < a.sorted.length || j < b.sorted.length) {
    const value = Math.min(a.sorted[i] ?? Number.POSITIVE_INFINITY, b.sorted[j] ?? Number.POSITIVE_INFINITY);
    area += measure(sumA / totalA - sumB / totalB) * (value - previous);
    while (i < a.sorted.length && a.sorted[i] === value) sumA += weightOfA(i++);
    while (j < b.sorted.length && b.sorted[j] === value) sumB += weightOfB(j++);
    previous = value;
  }
  return area;
}

function weightOf({ weights }: Weighted): (index: number) => number {
  return weights === undefined ? () => 1 : (index) => weights[index] ?? 0;
}

function total(sample: Weighted, weight: (index: number) => number): number {
  let sum = 0;
  for (let i = 0; i < sample.sorted.length; i++) sum += weight(i);
  return sum;
}

/**
 * Where a falling function reaches a value: doubles the upper bound until it is past, then bisects down to neighbouring
 * doubles. Slower than Newton's method and never astray.
 *
 * @param tail falling on [low, infinity)
 * @param high any first upper bound above `low`
 */
export function invertTail(tail: (x: number) => number, value: number, low: number, high: number): number {
  let below = low;
  let above = high;
  while (tail(above) > value && above < 1e300) {
    below = above;
    above *= 2;
  }
  for (let step = 0; step < 200; step++) {
    const middle = (below + above) / 2;
    if (middle === below || middle === above) break;
    if (tail(middle) > value) below = middle;
    else above = middle;
  }
  return (below + above) / 2;
}

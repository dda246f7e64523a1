/**
 * Solves `a x = b` for a symmetric positive definite matrix by Cholesky's decomposition (Golub & Van Loan, Matrix
 * Computations, §4.2).
 *
 * @param a `n * n` values, row-major; only the lower triangle is read, and it is overwritten
 * @param b `n` values
 * @returns x, or null when `a` is not positive definite to working precision
 */
export function solvePositiveDefinite(a: Float64Array, b: Float64Array): Float64Array | null {
  const n = b.length;
  for (let column = 0; column < n; column++) {
    for (let row = column; row < n; row++) {
      let sum = at(a, row * n + column);
      for (let k = 0; k < column; k++) sum -= at(a, row * n + k) * at(a, column * n + k);
      if (row === column) {
        if (!(sum > Number.EPSILON * at(a, row * n + column))) return null;
        a[row * n + column] = Math.sqrt(sum);
      } else {
        a[row * n + column] = sum / at(a, column * n + column);
      }
    }
  }
  const x = Float64Array.from(b);
  for (let row = 0; row < n; row++) {
    let sum = at(x, row);
    for (let k = 0; k < row; k++) sum -= at(a, row * n + k) * at(x, k);
    x[row] = sum / at(a, row * n + row);
  }
  for (let row = n - 1; row >= 0; row--) {
    let sum = at(x, row);
    for (let k = row + 1; k < n; k++) sum -= at(a, k * n + row) * at(x, k);
    x[row] = sum / at(a, row * n + row);
  }
  return x;
}

function at(values: Float64Array, index: number): number {
  return values[index] as number;
}

/**
 * The number of rows and the sum of their Hessians in one double: `rows * unit + sum`, both whole numbers, so that a bin
 * takes two additions per row and not three, and sums and differences are exact. A double holds whole numbers of 53
 * bits; what the rows' count leaves is for the Hessian: 33 bits of its sum for a million rows.
 */
export interface Packing {
  readonly unit: number;
  /** The Hessian that a step of 1 stands for. */
  readonly quantum: number;
  /** Of the largest Hessian, in steps. */
  readonly steps: number;
}

/** @param largest Hessian of any row, above 0 */
export function packingFor(rows: number, largest: number): Packing {
  const bits = Math.floor(Math.log2(rows)) + 1;
  const unit = 2 ** (53 - bits);
  const steps = Math.max(1, Math.floor(unit / rows) - 2);
  return { unit, quantum: largest / steps, steps };
}

/** Packs one Hessian per row. What rounding takes from a row is given to the next, so that sums keep their size. */
export function packHessians(hessians: Float64Array, packing: Packing, packed: Float64Array): void {
  const { unit, quantum } = packing;
  let rest = 0.5;
  for (let row = 0; row < hessians.length; row++) {
    const exact = (hessians[row] as number) / quantum + rest;
    const whole = Math.floor(exact);
    rest = exact - whole;
    packed[row] = unit + whole;
  }
}

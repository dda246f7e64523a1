/*
 * Sizes that follow from a model's inputs: products such as 20 · N, where N is a dimension of an input that may have any
 * size from 1 on.
 */

/** A number times dimensions of the inputs, by name in their order; one that is squared stands twice. */
export interface Size {
  readonly factor: number;
  readonly names: readonly string[];
}

/** Upper bounds of one run, from the elements that its inputs have together: fixed + perElement · elements. */
export interface Bound {
  readonly fixed: number;
  readonly perElement: number;
}

export const fixedSize = (factor: number): Size => ({ factor, names: [] });

export function product(sizes: readonly Size[]): Size {
  return {
    factor: sizes.reduce((factor, size) => factor * size.factor, 1),
    names: sizes.flatMap(({ names }) => names).sort(),
  };
}

export function times({ factor, names }: Size, by: number): Size {
  return { factor: factor * by, names };
}

export function isSame(a: Size, b: Size): boolean {
  return a.factor === b.factor && a.names.join("\n") === b.names.join("\n");
}

export function isOne({ factor, names }: Size): boolean {
  return factor === 1 && names.length === 0;
}

/** @returns undefined where it is no whole number of times */
export function quotient(size: Size, by: Size): Size | undefined {
  const names = [...size.names];
  for (const name of by.names) {
    const at = names.indexOf(name);
    if (at < 0) return undefined;
    names.splice(at, 1);
  }
  const factor = size.factor / by.factor;
  return Number.isInteger(factor) ? { factor, names } : undefined;
}

/**
 * What a size is at most, counted in elements of the inputs: 5 · N is a quarter of an input [N, 20], and N · N is bounded
 * by no input [N, 20] at all.
 *
 * @param inputs the number of elements of each input
 * @returns undefined when no input bounds it
 */
export function boundBy(size: Size, inputs: readonly Size[]): Bound | undefined {
  if (size.names.length === 0) return { fixed: size.factor, perElement: 0 };
  let perElement = Number.POSITIVE_INFINITY;
  for (const input of inputs) {
    if (holdsNames(input, size)) perElement = Math.min(perElement, size.factor / input.factor);
  }
  return Number.isFinite(perElement) ? { fixed: 0, perElement } : undefined;
}

function holdsNames(input: Size, { names }: Size): boolean {
  const left = [...input.names];
  return names.every((name) => {
    const at = left.indexOf(name);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

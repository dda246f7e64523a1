/** Random numbers that repeat with their seed. */
export interface RandomSource {
  /** From 0 up to, not including, 1. */
  uniform(): number;
  /** Of the standard normal distribution. */
  normal(): number;
}

/** SplitMix32: small, and good enough for tests. */
export function randomSource(seed: number): RandomSource {
  let state = Math.imul(seed, 0x9e3779b9) | 0;
  const uniform = () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    // Box and Muller (1958); 1 - u is never 0.
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

/*
 * IEEE 754 binary16, which JavaScript has no array of before Node 24: conversions to and from the bits.
 */

/** The nearest binary16 of each number, ties to even; from 65520 on it is infinite. */
export function toHalves(values: Float32Array): Uint16Array {
  const singles = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < halves.length; i++) halves[i] = toHalf(singles[i] ?? 0);
  return halves;
}

export function fromHalves(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = fromHalf(halves[i] ?? 0);
  return values;
}

/** @param single the 32 bits of a binary32 */
function toHalf(single: number): number {
  const sign = (single >>> 16) & 0x8000;
  const exponent = (single >>> 23) & 0xff;
  const fraction = single & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
  const power = exponent - 127;
  if (power > 15) return sign | 0x7c00;
  if (power >= -14) return sign | roundEven(((power + 15) << 23) | fraction, 13);
  if (power < -25) return sign;
  return sign | roundEven(fraction | 0x800000, -power - 1);
}

/** @param half its 16 bits */
export function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

/** Drops the lowest `dropped` bits, rounding to nearest, ties to even; a carry goes into the exponent, as it should. */
function roundEven(value: number, dropped: number): number {
  const kept = value >>> dropped;
  const rest = value & ((1 << dropped) - 1);
  const tie = 1 << (dropped - 1);
  return rest > tie || (rest === tie && (kept & 1) === 1) ? kept + 1 : kept;
}

/** Value of IEEE half precision bits. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const mantissa = bits & 0x3ff
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent ? sign * (1 + mantissa / 1024) * 2 ** (exponent - 15) : sign * mantissa * 2 ** -24
}

/** Float32 of bfloat16 bits, which are the upper half of its own. */
export const fromBfloat = (bits: ArrayLike<number>): Float32Array =>
  new Float32Array(Uint32Array.from(bits, v => v << 16).buffer)

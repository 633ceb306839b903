/** The largest finite number of half precision. */
export const HALF_MAX = 65504

// A large model has a hundred million of them, and logarithms and powers take most of their time.
const real = new Float32Array(1)
const bitsOfReal = new Uint32Array(real.buffer)
/** Powers of two from 2⁻¹⁵ to 2²⁴. */
const POWERS = Float64Array.from({ length: 40 }, (_, i) => 2 ** (i - 15))
const power = (exponent: number): number => Number(POWERS[exponent + 15])

/** The exponent of a number that is not negative; of zero, and of what float32 does not hold, a small one. */
function exponentOf(a: number): number {
  real[0] = a
  return (Number(bitsOfReal[0]) >>> 23) - 127
}

/** IEEE half precision bits of a number, rounded to nearest even. */
export function toHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const a = Math.abs(value)
  if (a >= 65520) return sign | 0x7c00
  // What float32 rounds up to a power of two, half precision does as well.
  const e = Math.max(exponentOf(a), -14)
  const scaled = a * power(10 - e)
  const floor = Math.floor(scaled)
  const rest = scaled - floor
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0
  // A subnormal has exponent bits 0; a carry of the mantissa runs into the exponent by itself.
  return sign | (((e + 14) << 10) + floor + up)
}

/** Value of IEEE half precision bits. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const mantissa = bits & 0x3ff
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent ? sign * (1 + mantissa / 1024) * power(exponent - 15) : sign * mantissa * 2 ** -24
}

/** Float32 of bfloat16 bits, which are the upper half of its own. */
export const fromBfloat = (bits: ArrayLike<number>): Float32Array =>
  new Float32Array(Uint32Array.from(bits, v => v << 16).buffer)

/** Bits of half precision as the numbers that they are. */
export const halfValues = (bits: Uint16Array): Float32Array => Float32Array.from(bits, fromHalf)

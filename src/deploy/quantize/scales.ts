import { nth } from '../../graph/present.ts'
import type { Extremes } from './histogram.ts'

/** Integers of an activation are 0 … 255, those of a weight −127 … 127. */
const STEPS = 255
const WEIGHT_STEPS = 127

/** The largest integer of a weight. @param reduceRange whether 7 bits are all that is used */
export const weightSteps = (reduceRange = false): number => (reduceRange ? 63 : WEIGHT_STEPS)

/** The smallest float32 that runtimes do not take for zero. */
const LEAST = 2 ** -126

/** Real numbers (q − zero) · scale that integers q stand for. */
export interface Scale {
  readonly scale: number
  readonly zero: number
}

/** Scale and zero point of an activation as uint8. Zero is always among the numbers, so that padding is exact. */
export function activationScale({ low, high }: Extremes): Scale {
  const [from, to] = [Math.min(low, 0), Math.max(high, 0)]
  const scale = Math.fround((to - from) / STEPS)
  // A tensor of zeros, and one that was never seen.
  if (!(scale >= LEAST) || !Number.isFinite(scale)) return { scale: 1, zero: 0 }
  return { scale, zero: Math.min(Math.max(Math.round(-from / scale), 0), STEPS) }
}

/** The scale of each place of a weight's axis, as int8 around zero. */
export function weightScales(
  values: Float32Array,
  shape: readonly number[],
  axis: number,
  steps = WEIGHT_STEPS,
): Float32Array {
  const places = nth(shape, axis)
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const largest = new Float32Array(places)
  for (const [i, v] of values.entries()) {
    const place = Math.floor(i / inner) % places
    if (Math.abs(v) > nth(largest, place)) largest[place] = Math.abs(v)
  }
  // A filter of zeros has any scale, and one of denormal numbers none that is a divisor.
  return largest.map(v => (v > 0 ? Math.max(v / steps, LEAST) : 1))
}

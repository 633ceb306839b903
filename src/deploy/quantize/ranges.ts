import { type Extremes, edge, type Histogram } from './histogram.ts'

/**
 * How the range of a tensor's integers is chosen from what it holds on calibration data: all values; all but the outermost ones; or the
 * range whose integers lose least information.
 */
export type CalibrationMethod = 'minmax' | 'percentile' | 'entropy'
export const CALIBRATION_METHODS: readonly CalibrationMethod[] = ['minmax', 'percentile', 'entropy']

/** What a tensor holds on calibration data. */
export interface Observed extends Extremes {
  readonly histogram: Histogram
}

/** Share of the values, in percent, that `percentile` keeps. */
const KEPT = 99.99
/** Steps on either side of zero that `entropy` assumes. */
const HALF_STEPS = 64
/** Probability that a bin without values counts with; Kullback–Leibler divergence is not defined without. */
const SMOOTH = 1e-4

/** The range of a tensor's integers. */
export function rangeOf(method: CalibrationMethod, observed: Observed): Extremes {
  const { low, high } = observed
  // A tensor of one value, or one that was never seen.
  if (!(observed.histogram.reach > 0) || method === 'minmax') return { low, high }
  const wanted =
    method === 'percentile' ? percentile(observed.histogram) : leastDivergence(observed.histogram)
  return { low: Math.max(low, wanted.low), high: Math.min(high, wanted.high) }
}

/** The range that leaves out the outermost values, as many on either side. @param kept in percent */
export function percentile(histogram: Histogram, kept = KEPT): Extremes {
  const { counts } = histogram
  const total = counts.reduce((a, b) => a + b, 0)
  const cut = (1 - kept / 100) / 2
  const reached = (share: number): number => {
    let sum = 0
    for (const [bin, n] of counts.entries()) {
      sum += n
      if (sum / total >= share) return bin
    }
    return counts.length
  }
  return { low: edge(histogram, reached(cut)), high: edge(histogram, reached(1 - cut)) }
}

/**
 * The symmetric range whose distribution in a few steps is closest to that of the values, by Kullback–Leibler divergence (Migacz 2017,
 * "8-bit inference with TensorRT").
 */
export function leastDivergence(histogram: Histogram, halfSteps = HALF_STEPS): Extremes {
  const { counts } = histogram
  const middle = counts.length / 2
  let [best, least] = [middle, Number.POSITIVE_INFINITY]
  for (let half = Math.min(halfSteps, middle); half <= middle; half++) {
    const end = Math.min(middle + half + 1, counts.length)
    const found = divergence(
      cutOff(counts, middle - half, end),
      stepped(counts, middle - half, end, halfSteps),
    )
    if (found < least) [best, least] = [half, found]
  }
  return {
    low: edge(histogram, middle - best),
    high: edge(histogram, Math.min(middle + best + 1, counts.length)),
  }
}

// Plain loops: these run a thousand times for each tensor.

/** Bins `start` … `end`; all values outside are counted in the outermost ones. */
function cutOff(counts: Float64Array, start: number, end: number): Float64Array {
  const cut = counts.slice(start, end)
  const last = cut.length - 1
  for (let i = 0; i < start; i++) cut[0] = Number(cut[0]) + Number(counts[i])
  for (let i = end; i < counts.length; i++) cut[last] = Number(cut[last]) + Number(counts[i])
  return cut
}

/** Bins `start` … `end` as integers tell them apart: the values of a step are spread evenly over those of its bins that hold any. */
function stepped(counts: Float64Array, start: number, end: number, halfSteps: number): Float64Array {
  const size = end - start
  const steps = 2 * halfSteps
  const width = Math.floor(size / steps)
  const spread = new Float64Array(size)
  for (let step = 0; step < steps; step++) {
    const from = step * width
    // The last step has the bins that are left over, too.
    const to = step === steps - 1 ? size : from + width
    let total = 0
    for (let i = from; i < to; i++) total += Number(counts[start + i])
    let filled = 0
    for (let i = from; i < from + width; i++) {
      const outside = (i === 0 && start > 0) || (i === size - 1 && end < counts.length)
      if (outside || Number(counts[start + i]) > 0) filled++
    }
    // Whole numbers, as counts are.
    if (filled) spread.fill(Math.floor(total / filled), from, from + width)
  }
  return spread
}

/**
 * Kullback–Leibler divergence of two distributions, given as counts. Empty bins count a little, which is taken from the others:
 * without that it would not be defined.
 */
function divergence(p: Float64Array, q: Float64Array): number {
  const [ofP, ofQ] = [tally(p), tally(q)]
  if (ofP.taken >= 1 || ofQ.taken >= 1) return Number.POSITIVE_INFINITY
  let sum = 0
  for (let i = 0; i < p.length; i++) {
    const a = (Number(p[i]) === 0 ? SMOOTH : Number(p[i]) - ofP.taken) / ofP.total
    const b = (Number(q[i]) === 0 ? SMOOTH : Number(q[i]) - ofQ.taken) / ofQ.total
    sum += a * Math.log(a / b)
  }
  return sum
}

/** The sum of counts, and what each filled bin gives to the empty ones; infinite where there is none. */
function tally(counts: Float64Array): { readonly total: number; readonly taken: number } {
  let [total, empty] = [0, 0]
  for (let i = 0; i < counts.length; i++) {
    total += Number(counts[i])
    if (Number(counts[i]) === 0) empty++
  }
  return { total, taken: (SMOOTH * empty) / (counts.length - empty) }
}

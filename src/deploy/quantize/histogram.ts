/** How often values of a tensor occur, in bins of equal width over [−reach, reach]. */
export interface Histogram {
  readonly reach: number
  /** An even number of them, so that zero is an edge. */
  readonly counts: Float64Array
}

/** The smallest and the largest value of a tensor. */
export interface Extremes {
  readonly low: number
  readonly high: number
}

/** Enough to tell 128 steps of an integer from each other where the largest value is sixteen times the usual ones. */
export const BINS = 2048

export const NO_EXTREMES: Extremes = { low: Number.POSITIVE_INFINITY, high: Number.NEGATIVE_INFINITY }

/** Extremes of what was seen before and of further values. Values that are not numbers do not count. */
export function extremes(values: ArrayLike<number>, { low, high }: Extremes = NO_EXTREMES): Extremes {
  for (let i = 0; i < values.length; i++) {
    const v = values[i] ?? 0
    if (v < low) low = v
    if (v > high) high = v
  }
  return { low, high }
}

/** An empty histogram that has room for all values between two extremes. */
export const histogramFor = ({ low, high }: Extremes, bins = BINS): Histogram => ({
  reach: Math.max(Math.abs(low), Math.abs(high)),
  counts: new Float64Array(bins),
})

/** Counts further values; those beyond the reach, and those that are not numbers, are left out. */
export function count({ reach, counts }: Histogram, values: ArrayLike<number>): void {
  const perUnit = counts.length / (2 * reach)
  const last = counts.length - 1
  for (let i = 0; i < values.length; i++) {
    const v = values[i] ?? 0
    if (!(Math.abs(v) <= reach)) continue
    const bin = Math.min(Math.floor((v + reach) * perUnit), last)
    counts[bin] = (counts[bin] ?? 0) + 1
  }
}

/** The value at the lower edge of a bin. */
export const edge = ({ reach, counts }: Histogram, bin: number): number =>
  reach * ((2 * bin) / counts.length - 1)

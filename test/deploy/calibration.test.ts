import { expect, test } from 'vitest'
import { count, extremes, histogramFor } from '../../src/deploy/quantize/histogram.ts'
import { type CalibrationMethod, percentile, rangeOf } from '../../src/deploy/quantize/ranges.ts'
import { activationScale, weightScales } from '../../src/deploy/quantize/scales.ts'
import { rng } from '../../src/graph/random.ts'

const random = rng(7)
const SIZE = 20011
const draw = (value: (i: number) => number) => Float32Array.from({ length: SIZE }, (_, i) => value(i))

const VALUES = {
  normal: draw(() => random.normal()),
  outliers: draw(i => random.normal() * (i % 500 ? 1 : 12)),
  rectified: draw(() => Math.max(0, random.normal() ** 3)),
  uniform: draw(() => 3 * random.uniform() - 1),
}

/**
 * What Python's onnxruntime 1.32 gives for these values: `HistogramCollector(method, symmetric=False, num_bins=2048,
 * num_quantized_bins=128, percentile=99.9, scenario='same')`, and numpy's extremes.
 */
const REFERENCE: Readonly<
  Record<keyof typeof VALUES, Readonly<Record<CalibrationMethod, readonly [number, number]>>>
> = {
  normal: {
    minmax: [-4.198780059814453, 4.0006632804870605],
    percentile: [-3.255694627761841, 3.1941890716552734],
    entropy: [-3.1654865741729736, 3.1695871353149414],
  },
  outliers: {
    minmax: [-32.55125427246094, 26.677452087402344],
    percentile: [-8.169601440429688, 8.042449951171875],
    entropy: [-6.230512619018555, 6.262302398681641],
  },
  rectified: {
    minmax: [0, 91.17420959472656],
    percentile: [0, 34.36840057373047],
    entropy: [0, 11.485816955566406],
  },
  uniform: {
    minmax: [-0.9991580843925476, 1.99954092502594],
    percentile: [-0.9991580843925476, 1.9975882768630981],
    entropy: [-0.9991580843925476, 1.99954092502594],
  },
}

function observed(values: Float32Array) {
  const seen = extremes(values)
  const histogram = histogramFor(seen)
  count(histogram, values)
  return { ...seen, histogram }
}

test.each(Object.keys(VALUES) as (keyof typeof VALUES)[])(
  'ranges of %s values are those that Python finds, by each method',
  name => {
    const seen = observed(VALUES[name])
    for (const [method, [low, high]] of Object.entries(REFERENCE[name])) {
      const cut = method === 'percentile' ? percentile(seen.histogram, 99.9) : undefined
      const got = cut
        ? { low: Math.max(cut.low, seen.low), high: Math.min(cut.high, seen.high) }
        : rangeOf(method as CalibrationMethod, seen)
      expect([got.low, got.high], method).toEqual([expect.closeTo(low, 5), expect.closeTo(high, 5)])
    }
  },
)

test('a histogram that is filled in several parts is that of the whole', () => {
  const { normal } = VALUES
  const parts = histogramFor(extremes(normal))
  for (let at = 0; at < SIZE; at += 3000) count(parts, normal.subarray(at, at + 3000))
  expect(parts).toEqual(observed(normal).histogram)
  expect(parts.counts.reduce((a, b) => a + b, 0)).toBe(SIZE)
})

test('numbers of a range are at most half a step from an integer, and zero is one of them', () => {
  for (const range of [
    { low: -1, high: 3 },
    { low: 0.5, high: 2 },
    { low: -7, high: -2 },
    { low: 0, high: 6 },
  ]) {
    const { scale, zero } = activationScale(range)
    expect(Number.isInteger(zero) && zero >= 0 && zero <= 255).toBe(true)
    for (const x of [range.low, range.high, 0]) {
      const q = Math.min(Math.max(Math.round(x / scale) + zero, 0), 255)
      // Where the zero point is rounded, one end is half a step further off.
      expect(Math.abs((q - zero) * scale - x)).toBeLessThanOrEqual(scale * 1.001)
    }
    expect((zero - zero) * scale).toBe(0)
  }
  expect(activationScale({ low: 0, high: 0 })).toEqual({ scale: 1, zero: 0 })
})

test('each output of a weight has the scale of its own largest value', () => {
  const w = Float32Array.of(1, -2, 3, 0, 0, 0, -127, 5, 254, 0, 0, 0)
  expect([...weightScales(w, [2, 2, 3], 0)]).toEqual([3 / 127, 2].map(Math.fround))
  expect([...weightScales(w, [2, 2, 3], 1)]).toEqual([2, 1])
  expect([...weightScales(w, [2, 2, 3], -1 + 3)]).toEqual([1, 5 / 127, 2].map(Math.fround))
})

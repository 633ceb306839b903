import fc from 'fast-check'
import { expect, test } from 'vitest'
import { amounts, evenTicks, fromZero, logTicks, plain, shares } from '../../src/report/scale.ts'

const labels = (scale: { readonly ticks: readonly { readonly label: string }[] }) =>
  scale.ticks.map(t => t.label)

test('an even axis has round ticks from 0 to beyond the largest value', () => {
  expect(evenTicks(2.3)).toEqual([0, 0.5, 1, 1.5, 2, 2.5])
  expect(evenTicks(20, { whole: true, beyond: false })).toEqual([0, 5, 10, 15, 20])
  expect(evenTicks(3, { whole: true, beyond: false })).toEqual([0, 1, 2, 3])
  expect(labels(fromZero([1200, 2650]))).toEqual(['0', '500', '1,000', '1,500', '2,000', '2,500', '3,000'])
})

test('a loss that falls a hundredfold is drawn by its logarithm, one that falls by half is not', () => {
  const falling = amounts([2.3, 0.02])
  expect(falling.of(0.2) - falling.of(0.02)).toBeCloseTo(falling.of(2) - falling.of(0.2), 12)
  expect(labels(falling)).toEqual(['0.03', '0.1', '0.3', '1'])
  const level = amounts([2.3, 1.1])
  expect(level.of(1.1)).toBe(1.1)
  // Nothing has no logarithm.
  expect(amounts([2.3, 0]).of(0)).toBe(0)
})

test('accuracies near 100 % are drawn by what is missing', () => {
  const scale = shares([0.9, 0.985, 0.995])
  expect(scale.of(0.99) - scale.of(0.98)).toBeCloseTo(scale.of(0.995) - scale.of(0.99), 12)
  expect(labels(scale)).toEqual(['99.5\u00a0%', '99\u00a0%', '98\u00a0%', '95\u00a0%', '90\u00a0%'])
  expect(shares([0.3, 0.8]).of(0.8)).toBe(0.8)
})

test('100 % is at the upper end, and says so', () => {
  const scale = shares([0.97, 0.999, 1])
  const top = scale.ticks.find(t => t.at === scale.domain[1])
  expect(top?.label).toBe('100\u00a0%')
  expect(scale.of(1)).toBe(scale.domain[1])
  expect(scale.of(0.999)).toBeLessThan(scale.domain[1])
})

test('whatever the values, they lie on the axis, and so do a few ticks with different names', () => {
  const value = fc.double({ min: 1e-9, max: 1e9, noNaN: true })
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 8 }), values => {
      const accuracies = values.map(v => v / (1 + v))
      for (const [scale, given] of [
        [amounts(values), values],
        [fromZero(values), values],
        [shares(accuracies), accuracies],
      ] as const) {
        const [low, high] = scale.domain
        const slack = 1e-9 * (high - low)
        for (const at of [...given.map(scale.of), ...scale.ticks.map(t => t.at)]) {
          expect(at).toBeGreaterThanOrEqual(low - slack)
          expect(at).toBeLessThanOrEqual(high + slack)
        }
        expect(scale.ticks.length).toBeLessThanOrEqual(8)
        expect(new Set(labels(scale)).size).toBe(scale.ticks.length)
      }
    }),
  )
})

test('ticks of a logarithm are thinned out where many powers of ten lie between', () => {
  expect(logTicks(0.3, 3)).toEqual([0.5, 1, 2])
  expect(logTicks(0.02, 2)).toEqual([0.03, 0.1, 0.3, 1])
  expect(logTicks(1e-6, 10)).toEqual([1e-6, 1e-4, 1e-2, 1])
})

test('numbers have three digits that count', () => {
  expect([0.0125, 12345.6, 0, 0.00002, 1].map(plain)).toEqual(['0.0125', '12,300', '0', '2e−5', '1'])
})

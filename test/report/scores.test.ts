import { expect, test } from 'vitest'
import { Confusion } from '../../src/report/confusion.ts'
import { calibrationError, classScores, interval } from '../../src/report/scores.ts'

const confusionOf = (rows: readonly (readonly number[])[]): Confusion => {
  const confusion = new Confusion(rows.length)
  for (const [truth, row] of rows.entries())
    for (const [answer, count] of row.entries()) if (count) confusion.add(truth, answer, count)
  return confusion
}

test('precision, recall and F1 are those of the counts', () => {
  // Of class 0: 8 of 10 found, 8 of 9 answers right. Nothing is ever answered as class 2.
  const [a, b, c] = classScores(
    confusionOf([
      [8, 2, 0],
      [1, 4, 0],
      [0, 3, 0],
    ]),
  )
  expect(a).toMatchObject({ count: 10, precision: 8 / 9, recall: 0.8, mistaken: { for: 1, count: 2 } })
  expect(a!.f1).toBeCloseTo(2 / (9 / 8 + 1 / 0.8), 12)
  expect(b).toMatchObject({ count: 5, precision: 4 / 9, recall: 0.8, mistaken: { for: 0, count: 1 } })
  expect(c).toMatchObject({ count: 3, precision: Number.NaN, recall: 0, f1: 0 })
})

test('a class that is neither in the set nor in the answers has no scores, and no other is taken for it', () => {
  const [, empty] = classScores(
    confusionOf([
      [5, 0],
      [0, 0],
    ]),
  )
  expect(empty).toEqual({ count: 0, precision: Number.NaN, recall: Number.NaN, f1: Number.NaN })
})

test('the calibration error weighs each bin by its answers', () => {
  const bins = [
    { count: 30, certainty: 0.6, accuracy: 0.5 },
    { count: 0, certainty: Number.NaN, accuracy: Number.NaN },
    { count: 70, certainty: 0.9, accuracy: 0.95 },
  ]
  expect(calibrationError(bins)).toBeCloseTo(0.3 * 0.1 + 0.7 * 0.05, 12)
})

test('the interval of a share holds the shares whose own deviation would not rule the sample out', () => {
  for (const [k, n] of [
    [9818, 10_000],
    [0, 50],
    [50, 50],
  ] as const) {
    const [low, high] = interval(k, n)
    // Wilson's bounds are where |p̂ − p| is z standard deviations of p; at p = 0 and 1 that is nothing at all.
    for (const p of [low, high]) {
      expect(Math.abs(k / n - p)).toBeCloseTo(1.959964 * Math.sqrt((p * (1 - p)) / n), 7)
    }
    expect(low).toBeLessThan(high)
  }
})

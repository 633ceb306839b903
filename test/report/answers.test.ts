import { expect, test } from 'vitest'
import { batches } from '../../src/data/batches.ts'
import type { ImageDataset } from '../../src/data/dataset.ts'
import { textDataset, tokenize } from '../../src/data/text.ts'
import { rng } from '../../src/graph/random.ts'
import { answersOf } from '../../src/report/answers.ts'
import { evaluate, type Predictor } from '../../src/train/evaluate.ts'

const CLASSES = 3

/** Images of 2 × 2 pixels, and logits that depend on nothing but them. */
function example(size: number) {
  const random = rng(3)
  const set: ImageDataset = {
    name: 'noise',
    size,
    shape: [1, 2, 2],
    classes: ['a', 'b', 'c'],
    images: Uint8Array.from({ length: 4 * size }, () => random.int(256)),
    labels: Uint8Array.from({ length: size }, () => random.int(CLASSES)),
  }
  const logits = (pixels: ArrayLike<number>, at: number) =>
    Array.from({ length: CLASSES }, (_, c) => 4 * pixels[4 * at + c]!)
  const predictor: Predictor = {
    allocate: bytes => new ArrayBuffer(bytes),
    predict: async ({ input, count }) =>
      Float32Array.from(Array.from({ length: count }, (_, i) => logits(input, i)).flat()),
  }
  return { set, predictor, logits }
}

test('accuracy, loss and confusion are those of an evaluation, however the set is cut into batches', async () => {
  const { set, predictor } = example(101)
  const expected = await evaluate(predictor, set)
  for (const batch of [7, 250]) {
    const { accuracy, confusion, count, loss } = await answersOf(
      predictor,
      set,
      { worst: 4, right: 2 },
      batch,
    )
    expect({ accuracy, confusion, count }).toEqual({ ...expected, loss: undefined })
    expect(loss).toBeCloseTo(expected.loss, 10)
  }
})

test('the worst mistakes are the wrong answers of the highest loss, with their pixels and numbers', async () => {
  const { set, predictor, logits } = example(60)
  const { worst, right } = await answersOf(predictor, set, { worst: 5, right: 2 }, 8)
  const [all] = batches(set, { batch: 60, shuffle: false })
  const plainly = Array.from({ length: 60 }, (_, index) => {
    const z = logits(all!.input, index)
    const e = z.map(Math.exp)
    const p = e.map(v => v / e.reduce((a, b) => a + b))
    const guess = z.indexOf(Math.max(...z))
    const truth = set.labels[index]!
    return { index, truth, guess, certainty: p[guess]!, loss: -Math.log(p[truth]!) }
  })
  const wrong = plainly.filter(a => a.guess !== a.truth).sort((a, b) => b.loss - a.loss)
  expect(wrong.length).toBeGreaterThan(5)
  for (const [i, got] of worst.entries()) {
    const { index, loss, certainty, ...others } = wrong[i]!
    expect(got).toMatchObject({ index, ...others })
    expect([got.loss, got.certainty].map(v => v.toFixed(9))).toEqual([loss, certainty].map(v => v.toFixed(9)))
    expect([...got.pixels]).toEqual([...all!.input.subarray(4 * index, 4 * index + 4)])
  }
  expect(worst).toHaveLength(5)
  const first = plainly.filter(a => a.guess === a.truth)
  expect(right.map(r => r.index)).toEqual([
    first[0]!.index,
    first.find(a => a.truth !== first[0]!.truth)!.index,
  ])
})

test('every answer is in the bin of its certainty', async () => {
  const { set, predictor } = example(200)
  const { bins, accuracy, count } = await answersOf(predictor, set, { worst: 0, right: 0 })
  expect(bins.reduce((n, bin) => n + bin.count, 0)).toBe(count)
  expect(bins.reduce((n, bin) => n + (bin.count && bin.count * bin.accuracy), 0)).toBeCloseTo(
    accuracy * count,
    9,
  )
  for (const [i, bin] of bins.entries()) {
    if (!bin.count) continue
    expect(bin.certainty).toBeGreaterThanOrEqual(i / 10)
    expect(bin.certainty).toBeLessThanOrEqual((i + 1) / 10)
  }
  // Of three classes the likeliest has a third at least.
  expect(bins.slice(0, 3).map(bin => bin.count)).toEqual([0, 0, 0])
})

test('of a text every character counts, and there are no pictures', async () => {
  const set = textDataset('abc', tokenize('abcabcabcabcabcabc'), 4)
  const predictor: Predictor = {
    allocate: bytes => new ArrayBuffer(bytes),
    // Always b.
    predict: async ({ count }) =>
      Float32Array.from({ length: count * 4 * 3 }, (_, i) => (i % 3 === 1 ? 5 : 0)),
  }
  const answers = await answersOf(predictor, set, { worst: 4, right: 4 })
  const { accuracy, count } = await evaluate(predictor, set)
  expect(answers).toMatchObject({ accuracy, count, worst: [], right: [] })
  expect(answers.count).toBe(16)
})

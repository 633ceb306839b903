import { describe, expect, test } from 'vitest'
import { batches } from '../../src/data/batches.ts'
import type { ArrayDataset, ImageDataset } from '../../src/data/dataset.ts'
import { textDataset, tokenize } from '../../src/data/text.ts'
import type { NdArray, TypedArray } from '../../src/graph/array.ts'
import { rng } from '../../src/graph/random.ts'
import { answersOf, type Classifier } from '../../src/report/answers.ts'

const CLASSES = 3

/** A model with one input and the output `logits`. */
const answering = (input: string, logits: (given: NdArray) => TypedArray): Classifier => ({
  inputs: { [input]: { dtype: 'float32', shape: ['batch'] } },
  outputs: ['logits'],
  run: async given => {
    const data = logits(given[input] as NdArray)
    return { logits: { data, dims: [data.length] } }
  },
})

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
  const classifier = answering('image', ({ data, dims: [count = 0] }) =>
    Float32Array.from(Array.from({ length: count }, (_, i) => logits(data as Float32Array, i)).flat()),
  )
  /** All answers, one by one. */
  const plainly = () => {
    const [all] = batches(set, { batch: size, shuffle: false })
    return Array.from({ length: size }, (_, index) => {
      const z = logits(all!.image!.data as Float32Array, index)
      const e = z.map(Math.exp)
      const p = e.map(v => v / e.reduce((a, b) => a + b))
      const guess = z.indexOf(Math.max(...z))
      const truth = set.labels[index]!
      return { index, truth, guess, certainty: p[guess]!, loss: -Math.log(p[truth]!) }
    })
  }
  return { set, classifier, plainly }
}

test('accuracy, loss and confusion are of every answer, however the set is cut into batches', async () => {
  const { set, classifier, plainly } = example(101)
  const all = plainly()
  const expected = Array.from({ length: CLASSES }, (_, truth) =>
    Array.from(
      { length: CLASSES },
      (_, guess) => all.filter(a => a.truth === truth && a.guess === guess).length,
    ),
  )
  for (const batch of [7, 250]) {
    const { accuracy, confusion, count, loss } = await answersOf(
      classifier,
      set,
      { worst: 4, right: 2 },
      batch,
    )
    expect(confusion.rows()).toEqual(expected)
    expect(count).toBe(101)
    expect(accuracy).toBe(all.filter(a => a.truth === a.guess).length / 101)
    expect(loss).toBeCloseTo(all.reduce((sum, a) => sum + a.loss, 0) / 101, 10)
  }
})

test('the worst mistakes are the wrong answers of the highest loss, with their pixels and numbers', async () => {
  const { set, classifier, plainly } = example(60)
  const { worst, right } = await answersOf(classifier, set, { worst: 5, right: 2 }, 8)
  const all = plainly()
  const wrong = all.filter(a => a.guess !== a.truth).sort((a, b) => b.loss - a.loss)
  expect(wrong.length).toBeGreaterThan(5)
  for (const [i, got] of worst.entries()) {
    const { index, loss, certainty, ...others } = wrong[i]!
    expect(got).toMatchObject({ index, ...others })
    expect([got.loss, got.certainty].map(v => v.toFixed(9))).toEqual([loss, certainty].map(v => v.toFixed(9)))
    expect([...got.pixels]).toEqual(
      [...set.images.subarray(4 * index, 4 * index + 4)].map(v => Math.fround(v / 255)),
    )
  }
  expect(worst).toHaveLength(5)
  const first = all.filter(a => a.guess === a.truth)
  expect(right.map(r => r.index)).toEqual([
    first[0]!.index,
    first.find(a => a.truth !== first[0]!.truth)!.index,
  ])
})

test('every answer is in the bin of its certainty', async () => {
  const { set, classifier } = example(200)
  const { bins, accuracy, count } = await answersOf(classifier, set)
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
  // Always b.
  const classifier = answering('tokens', ({ data }) =>
    Float32Array.from({ length: data.length * 3 }, (_, i) => (i % 3 === 1 ? 5 : 0)),
  )
  const answers = await answersOf(classifier, set, { worst: 4, right: 4 })
  const [rows] = set.batches({ batch: 4, shuffle: false })
  const right = [...(rows!.label.data as Int32Array)].filter(label => label === 1).length
  expect(answers).toMatchObject({ accuracy: right / 16, count: 16, worst: [], right: [] })
})

describe('what a model answers must be scores of the labels', () => {
  const four: ArrayDataset = {
    name: 'four',
    size: 4,
    arrays: {
      image: { data: new Float32Array(4), dims: [4, 1] },
      label: { data: Int32Array.of(0, 1, 2, 1), dims: [4] },
    },
  }
  /** A model that gives so many scores, all the same. */
  const scoring = (scores: number, input = 'image') => answering(input, () => new Float32Array(scores))

  test('which are counted, whatever the name of the only input', async () => {
    for (const input of ['image', 'input.1'])
      expect((await answersOf(scoring(12, input), four)).confusion.rows()).toEqual([
        [1, 0, 0],
        [2, 0, 0],
        [1, 0, 0],
      ])
  })

  test('of any number of classes, of which only pairs that occur are held', async () => {
    const { confusion } = await answersOf(scoring(40_000), four)
    expect(confusion.classes).toBe(10_000)
    expect(confusion.pairs()).toEqual([
      { truth: 0, answer: 0, count: 1 },
      { truth: 1, answer: 0, count: 2 },
      { truth: 2, answer: 0, count: 1 },
    ])
  })

  test.each([
    [8, 'the model returns 2 scores, but the data have a label 2: model and data do not match'],
    [0, 'the model returned 0 scores for 4 labels'],
    [13, 'the model returned 13 scores for 4 labels'],
  ])('%i for 4 labels are refused', async (scores, message) => {
    await expect(answersOf(scoring(scores), four)).rejects.toThrow(message)
  })

  test('of data without labels, and of answers that are not float32, an error says so', async () => {
    const { label: _, ...arrays } = four.arrays
    await expect(answersOf(scoring(12), { ...four, arrays })).rejects.toThrow('four: has no label')
    const whole = answering('image', () => new Int32Array(12))
    await expect(answersOf(whole, four)).rejects.toThrow('the model returned logits, int32 [12]')
    const { data, dims } = four.arrays.label!
    const below = { ...four.arrays, label: { data: (data as Int32Array).map(v => v - 1), dims } }
    await expect(answersOf(scoring(12), { ...four, arrays: below })).rejects.toThrow('have a label -1')
  })
})

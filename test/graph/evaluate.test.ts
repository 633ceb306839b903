import { expect, test } from 'vitest'
import type { Dataset } from '../../src/data/dataset.ts'
import { evaluate } from '../../src/train/evaluate.ts'

const data: Dataset = {
  name: 'four',
  size: 4,
  shape: [1, 1, 1],
  classes: ['a', 'b', 'c'],
  images: new Uint8Array(4),
  labels: Uint8Array.of(0, 1, 2, 1),
}

/** A model that gives so many scores, all the same. */
const scoring = (scores: (count: number) => number) => ({
  predict: async ({ count }: { count: number }) => new Float32Array(scores(count)).fill(0),
  allocate: (bytes: number) => new ArrayBuffer(bytes),
})

test('what a model answers must be scores of the labels', async () => {
  expect(
    (
      await evaluate(
        scoring(n => 3 * n),
        data,
      )
    ).confusion,
  ).toEqual([
    [1, 0, 0],
    [2, 0, 0],
    [1, 0, 0],
  ])
  await expect(
    evaluate(
      scoring(n => 2 * n),
      data,
    ),
  ).rejects.toThrow('the model answers 2 scores, and the data have a label 2: they do not belong together')
  await expect(
    evaluate(
      scoring(() => 0),
      data,
    ),
  ).rejects.toThrow('the model answers 0 scores for 4 labels')
  await expect(
    evaluate(
      scoring(n => 5000 * n),
      data,
    ),
  ).rejects.toThrow('1 to 4096 for each are compared')
})

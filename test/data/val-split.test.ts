import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type ImageDataset, imageSource, statistics } from '../../src/data/dataset.ts'
import { heldOut, withValidation } from '../../src/data/held-out.ts'
import { loadText } from '../../src/data/text-node.ts'
import { loadData } from '../../src/runs/data-node.ts'
import { idx, temporaryFolder, writeTiny } from './files.ts'

/** Images of one pixel, each with a value of its own, in classes of the given sizes. */
function classesOf(...sizes: readonly number[]): ImageDataset {
  const labels = Uint8Array.from(sizes.flatMap((size, label) => new Array<number>(size).fill(label)))
  const classes = sizes.map((_, label) => String(label))
  return {
    name: 'set',
    size: labels.length,
    shape: [1, 1, 1],
    classes,
    images: Uint8Array.from(labels, (_, i) => i),
    labels,
  }
}

const perClass = ({ labels, classes }: ImageDataset): number[] =>
  classes.map((_, label) => labels.filter(l => l === label).length)

function parts(set: ImageDataset, valSplit: number): { train: ImageDataset; val: ImageDataset } {
  const { train, val } = withValidation(imageSource(set, classesOf(1), 'here'), valSplit)
  return { train: train as ImageDataset, val: val as ImageDataset }
}

describe('a validation split of images', () => {
  const set = classesOf(100, 50, 30)

  test('takes the same share of each class, and every image is on one side with its own label', () => {
    const { train, val } = parts(set, 0.1)
    expect(perClass(val)).toEqual([10, 5, 3])
    expect(perClass(train)).toEqual([90, 45, 27])
    const all = [train, val].flatMap(({ images, labels }) => Array.from(images, (v, i) => [v, labels[i]!]))
    expect(all.sort(([a], [b]) => a! - b!)).toEqual(Array.from(set.images, (v, i) => [v, set.labels[i]!]))
    expect([train.name, val.name]).toEqual(['set', 'set/val'])
  })

  test.each([1, 7, 97, 177])('takes %i examples when a whole number is given', count => {
    const { train, val } = parts(set, count)
    expect([train.size, val.size]).toEqual([180 - count, count])
    // No class has more than one example above or below its share.
    perClass(val).forEach((n, i) => {
      expect(Math.abs(n - (count * set.labels.filter(l => l === i).length) / 180)).toBeLessThan(1)
    })
  })

  test('is normalized by what remains to train on', () => {
    const { train, normalization } = withValidation(imageSource(set, classesOf(1), 'here'), 0.5)
    expect(normalization).toEqual(statistics(train as ImageDataset))
    expect(normalization).not.toEqual(statistics(set))
  })

  test('a fifth is the fifth that is held out of data without a test set', () => {
    const held = heldOut(set)
    const { train, val } = parts(set, 0.2)
    expect([...val.images]).toEqual([...held.test.images])
    expect([...train.images]).toEqual([...held.train.images])
  })

  test('leaves at least an example on each side, or is refused with the numbers', () => {
    const refused = (valSplit: number) => () => parts(set, valSplit)
    expect(refused(0.001)).toThrow(
      'a validation split of 0.001 takes 0 of the 180 training examples of set; it must take at least 1 and leave at least 1',
    )
    expect(refused(180)).toThrow('a validation split of 180 takes 180 of the 180 training examples of set')
    expect(refused(178)).toThrow(
      'a validation split of 178 takes 178 of the 180 training examples of set; it can take at most 177, because each class keeps one for training',
    )
    for (const wrong of [0, -1, 1.5, Number.NaN])
      expect(refused(wrong)).toThrow(`a share between 0 and 1 or a whole number of examples, not ${wrong}`)
  })

  test('takes of a whole set the very examples that it always took', () => {
    // SHA-256 of pixels and labels, written down before a class kept its last example.
    const print = ({ images, labels }: ImageDataset) =>
      createHash('sha256').update(images).update(labels).digest('hex').slice(0, 16)
    const { train, val } = parts(set, 0.1)
    const held = heldOut(set)
    expect([train, val, held.train, held.test].map(print)).toEqual([
      'f7a43d1f3ee98bda',
      'ec08bcc6928ae048',
      'a64fcd6083b16b67',
      'dcebd3ccf05901df',
    ])
  })

  test.each([
    [[300, 8, 1], 0.1, [270, 7, 1], [30, 1, 0], '2 (1)'],
    [[300, 1, 8], 0.1, [270, 1, 7], [30, 0, 1], '1 (1)'],
    [[1, 1, 40, 1], 0.5, [1, 1, 18, 1], [0, 0, 22, 0], '0 (1), 1 (1), 3 (1)'],
    [[2, 2, 96], 0.97, [1, 1, 1], [1, 1, 95], undefined],
    [[3, 50], 0.1, [3, 45], [0, 5], '0 (3)'],
  ])('of classes of %j by %d leaves one of each to train on', (sizes, share, kept, taken, few) => {
    const all = classesOf(...sizes)
    const { train, val, notice } = withValidation(imageSource(all, classesOf(1), 'here'), share)
    expect([perClass(train as ImageDataset), perClass(val as ImageDataset)]).toEqual([kept, taken])
    const of = `${few?.split(', ').length} of ${sizes.length}`
    expect(notice).toBe(
      few && `${of} classes have too few examples to validate on; all of them are used for training: ${few}`,
    )
    expect(parts(all, share).val.images).toEqual((val as ImageDataset).images)
  })

  test('a fifth that is held out leaves one of each, too', () => {
    const { train, test: held, notice } = heldOut(classesOf(5, 4, 1))
    expect([perClass(train), perClass(held)]).toEqual([
      [4, 3, 1],
      [1, 1, 0],
    ])
    expect(notice).toBe(
      '1 of 3 classes have too few examples to test on; all of them are used for training: 2 (1)',
    )
    expect(() => heldOut(classesOf(1, 1, 1, 1, 1))).toThrow(
      'set has one image per class, and each class keeps one for training: nothing is left for testing; give a separate test set',
    )
  })

  test('is refused of data that come in batches of their own', () => {
    const own = { name: 'own', size: 4, classes: ['a'], batches: () => [] }
    expect(() => withValidation({ train: own, test: own, origin: 'here' }, 0.5)).toThrow(
      'own is a stream of batches, which cannot be split: give the validation examples as val',
    )
  })

  test('is taken after the limit', async () => {
    const folder = await temporaryFolder()
    await writeTiny(folder, { 'train-labels-idx1-ubyte': idx(0x801, [5], [0, 1, 0, 1, 0]) })
    const input = { kind: 'image', shape: [1, 2, 3] } as const
    const { train, val, test: held } = await loadData(input, { data: folder, limit: 4, valSplit: 0.5 })
    expect([train.size, val?.size, held?.size]).toEqual([2, 2, 2])
  })
})

test('a limit says which classes it leaves without an example', async () => {
  const folder = await temporaryFolder()
  await writeTiny(folder)
  const input = { kind: 'image', shape: [1, 2, 3] } as const
  const { train, notice } = await loadData(input, { data: folder, limit: 3 })
  expect(train.size).toBe(3)
  expect(notice).toBe('The first 3 images to train on show none of 2 of 5 classes: 3, 4')
  expect((await loadData(input, { data: folder, limit: 5 })).notice).toBeUndefined()
})

test('a validation split of a text is the end of what is trained on', async () => {
  const path = join(await temporaryFolder(), 'text')
  const text = Array.from({ length: 100 }, (_, i) => String.fromCharCode(200 + i)).join('')
  await writeFile(path, text)
  const whole = await loadText(path, 4)
  const { train, val, test: held } = await loadText(path, 4, undefined, 0.25)
  expect([whole.train.size, train.size, val?.size, held.size]).toEqual([22, 16, 6, 2])
  const read = (set: typeof train) => {
    const [all] = set.batches({ batch: set.size, shuffle: false })
    return Array.from(all!.label.data as Int32Array, id => train.classes[id]).join('')
  }
  // 90 characters to train: the last 6 × 4 are predicted to validate, the rest stays.
  expect(read(val!)).toBe(text.slice(66, 90))
  expect(read(train)).toBe(text.slice(1, 65))
  await expect(loadText(path, 4, undefined, 22)).rejects.toThrow(
    'a validation split of 22 takes 22 of the 22 training examples of text (train)',
  )
})

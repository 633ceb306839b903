import { describe, expect, test } from 'vitest'
import { idxDataset } from '../../src/data/idx.ts'
import { UserError } from '../../src/graph/errors.ts'
import { idx, tiny } from './files.ts'

const CLASSES = [...'0123456789']
const good = tiny(4)

function parse(images: Uint8Array, labels: Uint8Array) {
  return idxDataset('tiny', { name: 'images', bytes: images }, { name: 'labels', bytes: labels }, CLASSES)
}

/** The message of the UserError, which must be one line. */
function problem(images: Uint8Array, labels: Uint8Array): string {
  try {
    parse(images, labels)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    expect(error.message).not.toContain('\n')
    return error.message
  }
  return 'no error'
}

test('an images file and a labels file make a data set', () => {
  const dataset = parse(good.images, good.labels)
  expect([dataset.size, dataset.shape]).toEqual([4, [1, 2, 3]])
  expect([...dataset.images]).toEqual([...Array(24).keys()])
  expect([...dataset.labels]).toEqual([0, 1, 2, 3])
})

const NO_IDX = 'images start with 0x00000803 and labels with 0x00000801'
const MOST = '1 … 1,073,741,824'

describe('a bad IDX file is refused in one line with its name and numbers', () => {
  test.each([
    [
      'truncated',
      good.images.subarray(0, 30),
      good.labels,
      'images: has 30 bytes, but its header declares 40 (4 × 2 × 3): the file is truncated',
    ],
    [
      'too long',
      Buffer.concat([good.images, Uint8Array.of(1, 2)]),
      good.labels,
      'images: has 42 bytes, but its header declares 40 (4 × 2 × 3): 2 bytes too many',
    ],
    [
      'labels given as images',
      good.labels,
      good.labels,
      'images: holds labels (magic 0x00000801), not images',
    ],
    [
      'images given as labels',
      good.images,
      good.images,
      'labels: holds images (magic 0x00000803), not labels',
    ],
    [
      'wrong magic',
      idx(0xd03, [4, 2, 3], Array(24).fill(0)),
      good.labels,
      `images: not an IDX file: it starts with 0x00000d03; ${NO_IDX}`,
    ],
    ['empty', new Uint8Array(), good.labels, `images: not an IDX file: it has 0 bytes; ${NO_IDX}`],
    [
      'header cut off',
      good.images.subarray(0, 9),
      good.labels,
      'images: has 9 bytes, but its header alone needs 16: the file is truncated',
    ],
    [
      'absurd sizes',
      idx(0x803, [0xffffffff, 28, 28], []),
      good.labels,
      `images: its header claims 4,294,967,295 × 28 × 28 bytes; it must be ${MOST}`,
    ],
    [
      'no images',
      idx(0x803, [0, 2, 3], []),
      good.labels,
      `images: its header claims 0 × 2 × 3 bytes; it must be ${MOST}`,
    ],
    ['counts that differ', good.images, tiny(3).labels, 'labels: has 3 labels for the 4 images of images'],
    [
      'label out of range',
      good.images,
      idx(0x801, [4], [0, 1, 10, 3]),
      'labels: label 2 is 10, but labels are 0 … 9',
    ],
  ])('%s', (_, images, labels, message) => {
    expect(problem(images, labels)).toBe(message)
  })
})
